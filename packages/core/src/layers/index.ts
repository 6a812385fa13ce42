/** All layers. */
export { Activation, activation } from "./activation.ts";
export * from "./adaptive-pooling.ts";
export { AdditiveAttention, Attention, additiveAttention, attention } from "./attention.ts";
export { BatchNormalization, type BatchNormalizationOptions, batchNormalization } from "./batch-normalization.ts";
export { BytePairTokenizer, type BytePairTokenizerOptions, bytePairTokenizer } from "./byte-pair-tokenizer.ts";
export { CategoryEncoding, type CategoryEncodingOptions, categoryEncoding } from "./category-encoding.ts";
export { layerClasses } from "./classes.ts";
export * from "./conv.ts";
export * from "./conv-transpose.ts";
export { Dense, type DenseOptions, dense } from "./dense.ts";
export * from "./depthwise-conv.ts";
export { Discretization, type DiscretizationOptions, discretization } from "./discretization.ts";
export * from "./dropout.ts";
export { EinsumDense, type EinsumDenseOptions, einsumDense } from "./einsum-dense.ts";
export { Embedding, type EmbeddingOptions, embedding } from "./embedding.ts";
export { Flatten, flatten } from "./flatten.ts";
export * from "./global-pooling.ts";
export {
  GroupQueryAttention,
  type GroupQueryAttentionOptions,
  groupQueryAttention,
} from "./group-query-attention.ts";
export * from "./hashing.ts";
export { HostLayer } from "./host-layer.ts";
export type { HostStage } from "./host-stage.ts";
export * from "./identity.ts";
export * from "./images/index.ts";
export { InputLayer, type InputOptions, input } from "./input-layer.ts";
export { type CallContext, type CallOptions, Layer, layerFields, type Masking } from "./layer.ts";
export { LayerNormalization, type LayerNormalizationOptions, layerNormalization } from "./layer-normalization.ts";
export {
  IntegerLookup,
  type IntegerLookupOptions,
  integerLookup,
  StringLookup,
  type StringLookupOptions,
  stringLookup,
} from "./lookup.ts";
export { MelSpectrogram, type MelSpectrogramOptions, melSpectrogram } from "./mel-spectrogram.ts";
export * from "./merging.ts";
export { MultiHeadAttention, type MultiHeadAttentionOptions, multiHeadAttention } from "./multi-head-attention.ts";
export { Normalization, type NormalizationOptions, normalization } from "./normalization.ts";
export * from "./normalizations.ts";
export { Operation, operation } from "./operation.ts";
export * from "./padding.ts";
export * from "./pooling.ts";
export * from "./position-embedding.ts";
export type { AttentionCache } from "./projected-attention.ts";
export * from "./recurrent/index.ts";
export * from "./relu.ts";
export * from "./rescaling.ts";
export * from "./reshape.ts";
export { ReversibleEmbedding, type ReversibleEmbeddingOptions, reversibleEmbedding } from "./reversible-embedding.ts";
export * from "./separable-conv.ts";
export { Softmax, softmax } from "./softmax.ts";
export { SpectralNormalization, spectralNormalization } from "./spectral-normalization.ts";
export { STFTSpectrogram, type STFTSpectrogramOptions, stftSpectrogram } from "./stft-spectrogram.ts";
export { TextVectorization, type TextVectorizationOptions, textVectorization } from "./text-vectorization.ts";
export { TimeDistributed, timeDistributed } from "./time-distributed.ts";
export * from "./upsampling.ts";
