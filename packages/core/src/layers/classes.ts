/** Layer classes by name, for reading saved models. */
import { Activation } from "./activation.ts";
import {
  AdaptiveAveragePooling1D,
  AdaptiveAveragePooling2D,
  AdaptiveAveragePooling3D,
  AdaptiveMaxPooling1D,
  AdaptiveMaxPooling2D,
  AdaptiveMaxPooling3D,
} from "./adaptive-pooling.ts";
import { AdditiveAttention, Attention } from "./attention.ts";
import { BatchNormalization } from "./batch-normalization.ts";
import { BytePairTokenizer } from "./byte-pair-tokenizer.ts";
import { CategoryEncoding } from "./category-encoding.ts";
import { Conv1D, Conv2D, Conv3D } from "./conv.ts";
import { Conv1DTranspose, Conv2DTranspose, Conv3DTranspose } from "./conv-transpose.ts";
import { Dense } from "./dense.ts";
import { DepthwiseConv1D, DepthwiseConv2D } from "./depthwise-conv.ts";
import { Discretization } from "./discretization.ts";
import {
  AlphaDropout,
  Dropout,
  GaussianDropout,
  GaussianNoise,
  SpatialDropout1D,
  SpatialDropout2D,
  SpatialDropout3D,
} from "./dropout.ts";
import { EinsumDense } from "./einsum-dense.ts";
import { Embedding } from "./embedding.ts";
import { Flatten } from "./flatten.ts";
import {
  GlobalAveragePooling1D,
  GlobalAveragePooling2D,
  GlobalAveragePooling3D,
  GlobalMaxPooling1D,
  GlobalMaxPooling2D,
  GlobalMaxPooling3D,
} from "./global-pooling.ts";
import { GroupQueryAttention } from "./group-query-attention.ts";
import { HashedCrossing, Hashing } from "./hashing.ts";
import { ActivityRegularization, Identity, Masking } from "./identity.ts";
import {
  CenterCrop,
  RandomBrightness,
  RandomContrast,
  RandomCrop,
  RandomFlip,
  RandomRotation,
  RandomTranslation,
  RandomZoom,
  Resizing,
} from "./images/index.ts";
import { LayerNormalization } from "./layer-normalization.ts";
import { IntegerLookup, StringLookup } from "./lookup.ts";
import { MelSpectrogram } from "./mel-spectrogram.ts";
import { Add, Average, Concatenate, Dot, Maximum, Minimum, Multiply, Subtract } from "./merging.ts";
import { MultiHeadAttention } from "./multi-head-attention.ts";
import { Normalization } from "./normalization.ts";
import { GroupNormalization, RMSNormalization, UnitNormalization } from "./normalizations.ts";
import { Cropping1D, Cropping2D, Cropping3D, ZeroPadding1D, ZeroPadding2D, ZeroPadding3D } from "./padding.ts";
import {
  AveragePooling1D,
  AveragePooling2D,
  AveragePooling3D,
  MaxPooling1D,
  MaxPooling2D,
  MaxPooling3D,
} from "./pooling.ts";
import { PositionEmbedding, RotaryEmbedding, SinePositionEncoding } from "./position-embedding.ts";
import {
  Bidirectional,
  ConvLSTM1D,
  ConvLSTM2D,
  ConvLSTM3D,
  GRU,
  GRUCell,
  LSTM,
  LSTMCell,
  RNN,
  SimpleRNN,
  SimpleRNNCell,
  StackedRNNCells,
} from "./recurrent/index.ts";
import { ELU, LeakyReLU, PReLU, ReLU } from "./relu.ts";
import { Rescaling } from "./rescaling.ts";
import { Permute, RepeatVector, Reshape } from "./reshape.ts";
import { ReversibleEmbedding } from "./reversible-embedding.ts";
import { SeparableConv1D, SeparableConv2D } from "./separable-conv.ts";
import { Softmax } from "./softmax.ts";
import { SpectralNormalization } from "./spectral-normalization.ts";
import { STFTSpectrogram } from "./stft-spectrogram.ts";
import { TextVectorization } from "./text-vectorization.ts";
import { TimeDistributed } from "./time-distributed.ts";
import { UpSampling1D, UpSampling2D, UpSampling3D } from "./upsampling.ts";

export const layerClasses = {
  activation: Activation,
  attention: Attention,
  additiveAttention: AdditiveAttention,
  multiHeadAttention: MultiHeadAttention,
  groupQueryAttention: GroupQueryAttention,
  groupedQueryAttention: GroupQueryAttention,
  einsumDense: EinsumDense,
  batchNormalization: BatchNormalization,
  bytePairTokenizer: BytePairTokenizer,
  categoryEncoding: CategoryEncoding,
  conv1DTranspose: Conv1DTranspose,
  conv2DTranspose: Conv2DTranspose,
  conv3DTranspose: Conv3DTranspose,
  conv1D: Conv1D,
  conv2D: Conv2D,
  conv3D: Conv3D,
  dense: Dense,
  depthwiseConv1D: DepthwiseConv1D,
  depthwiseConv2D: DepthwiseConv2D,
  discretization: Discretization,
  dropout: Dropout,
  spatialDropout1D: SpatialDropout1D,
  spatialDropout2D: SpatialDropout2D,
  spatialDropout3D: SpatialDropout3D,
  gaussianNoise: GaussianNoise,
  gaussianDropout: GaussianDropout,
  alphaDropout: AlphaDropout,
  embedding: Embedding,
  reversibleEmbedding: ReversibleEmbedding,
  positionEmbedding: PositionEmbedding,
  sinePositionEncoding: SinePositionEncoding,
  rotaryEmbedding: RotaryEmbedding,
  adaptiveMaxPooling1D: AdaptiveMaxPooling1D,
  adaptiveMaxPooling2D: AdaptiveMaxPooling2D,
  adaptiveMaxPooling3D: AdaptiveMaxPooling3D,
  adaptiveAveragePooling1D: AdaptiveAveragePooling1D,
  adaptiveAveragePooling2D: AdaptiveAveragePooling2D,
  adaptiveAveragePooling3D: AdaptiveAveragePooling3D,
  flatten: Flatten,
  globalMaxPooling1D: GlobalMaxPooling1D,
  globalMaxPooling2D: GlobalMaxPooling2D,
  globalMaxPooling3D: GlobalMaxPooling3D,
  globalAveragePooling1D: GlobalAveragePooling1D,
  globalAveragePooling2D: GlobalAveragePooling2D,
  globalAveragePooling3D: GlobalAveragePooling3D,
  hashedCrossing: HashedCrossing,
  hashing: Hashing,
  identity: Identity,
  integerLookup: IntegerLookup,
  activityRegularization: ActivityRegularization,
  masking: Masking,
  centerCrop: CenterCrop,
  randomBrightness: RandomBrightness,
  randomContrast: RandomContrast,
  randomCrop: RandomCrop,
  randomFlip: RandomFlip,
  randomRotation: RandomRotation,
  randomTranslation: RandomTranslation,
  randomZoom: RandomZoom,
  resizing: Resizing,
  layerNormalization: LayerNormalization,
  melSpectrogram: MelSpectrogram,
  add: Add,
  multiply: Multiply,
  average: Average,
  maximum: Maximum,
  minimum: Minimum,
  subtract: Subtract,
  concatenate: Concatenate,
  dot: Dot,
  groupNormalization: GroupNormalization,
  rMSNormalization: RMSNormalization,
  unitNormalization: UnitNormalization,
  normalization: Normalization,
  stringLookup: StringLookup,
  textVectorization: TextVectorization,
  zeroPadding1D: ZeroPadding1D,
  zeroPadding2D: ZeroPadding2D,
  zeroPadding3D: ZeroPadding3D,
  cropping1D: Cropping1D,
  cropping2D: Cropping2D,
  cropping3D: Cropping3D,
  maxPooling1D: MaxPooling1D,
  maxPooling2D: MaxPooling2D,
  maxPooling3D: MaxPooling3D,
  averagePooling1D: AveragePooling1D,
  averagePooling2D: AveragePooling2D,
  averagePooling3D: AveragePooling3D,
  reLU: ReLU,
  leakyReLU: LeakyReLU,
  eLU: ELU,
  pReLU: PReLU,
  rescaling: Rescaling,
  reshape: Reshape,
  permute: Permute,
  repeatVector: RepeatVector,
  separableConv1D: SeparableConv1D,
  separableConv2D: SeparableConv2D,
  softmax: Softmax,
  spectralNormalization: SpectralNormalization,
  sTFTSpectrogram: STFTSpectrogram,
  simpleRNN: SimpleRNN,
  simpleRNNCell: SimpleRNNCell,
  lSTM: LSTM,
  lSTMCell: LSTMCell,
  gRU: GRU,
  gRUCell: GRUCell,
  rNN: RNN,
  stackedRNNCells: StackedRNNCells,
  bidirectional: Bidirectional,
  convLSTM1D: ConvLSTM1D,
  convLSTM2D: ConvLSTM2D,
  convLSTM3D: ConvLSTM3D,
  timeDistributed: TimeDistributed,
  upSampling1D: UpSampling1D,
  upSampling2D: UpSampling2D,
  upSampling3D: UpSampling3D,
};
