/** Where each data set comes from, and the digests that prove its files. */
import { recordingsDigest } from "./recordings.ts";

/** One file as it lies on a server or in a folder. */
export interface SourceFile {
  readonly name: string;
  /** Of the file's bytes, in hex. */
  readonly sha256: string;
  /** What `sha256` is the digest of, where it is not the file's bytes; throws when they cannot be read at all. */
  readonly digest?: (bytes: Uint8Array) => string;
}

/** Images and labels in the IDX form of MNIST, gzipped. */
export interface IdxSource {
  /** Folder below `LAYERWISE_DATASETS` and below the cache. */
  readonly folder: string;
  /** Tried in this order; a file's name is appended. */
  readonly addresses: readonly string[];
  readonly train: { readonly images: SourceFile; readonly labels: SourceFile };
  readonly test: { readonly images: SourceFile; readonly labels: SourceFile };
}

/** The binary version of CIFAR-10: an archive of batches, which may also lie unpacked in a folder. */
export interface CifarSource {
  readonly folder: string;
  readonly addresses: readonly string[];
  readonly archive: SourceFile;
  /** Digests are those of the unpacked files; a folder may hold `NAME` or `NAME.gz`. */
  readonly train: readonly SourceFile[];
  readonly test: readonly SourceFile[];
}

/** Recordings in an archive; `files` are its forms that may be on the disk, the last one is downloaded. */
export interface SpokenDigitsSource {
  readonly folder: string;
  readonly addresses: readonly string[];
  readonly files: readonly SourceFile[];
}

/** LeCun, Cortes, Burges: 60,000 + 10,000 handwritten digits, 28×28. */
export const mnistSource: IdxSource = {
  folder: "mnist",
  addresses: ["https://storage.googleapis.com/cvdf-datasets/mnist/", "https://ossci-datasets.s3.amazonaws.com/mnist/"],
  train: {
    images: {
      name: "train-images-idx3-ubyte.gz",
      sha256: "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
    },
    labels: {
      name: "train-labels-idx1-ubyte.gz",
      sha256: "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
    },
  },
  test: {
    images: {
      name: "t10k-images-idx3-ubyte.gz",
      sha256: "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    },
    labels: {
      name: "t10k-labels-idx1-ubyte.gz",
      sha256: "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    },
  },
};

/** Xiao, Rasul, Vollgraf 2017: 60,000 + 10,000 pictures of clothes in ten classes, 28×28, a drop-in for MNIST. */
export const fashionMnistSource: IdxSource = {
  folder: "fashion-mnist",
  addresses: [
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
  ],
  train: {
    images: {
      name: "train-images-idx3-ubyte.gz",
      sha256: "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    },
    labels: {
      name: "train-labels-idx1-ubyte.gz",
      sha256: "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    },
  },
  test: {
    images: {
      name: "t10k-images-idx3-ubyte.gz",
      sha256: "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    },
    labels: {
      name: "t10k-labels-idx1-ubyte.gz",
      sha256: "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    },
  },
};

/** Krizhevsky 2009: 50,000 + 10,000 colour pictures in ten classes, 32×32×3. */
export const cifar10Source: CifarSource = {
  folder: "cifar10",
  addresses: ["https://www.cs.toronto.edu/~kriz/"],
  archive: {
    name: "cifar-10-binary.tar.gz",
    sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
  },
  train: [
    { name: "data_batch_1.bin", sha256: "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5" },
    { name: "data_batch_2.bin", sha256: "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed" },
    { name: "data_batch_3.bin", sha256: "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67" },
    { name: "data_batch_4.bin", sha256: "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48" },
    { name: "data_batch_5.bin", sha256: "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add" },
  ],
  test: [{ name: "test_batch.bin", sha256: "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b" }],
};

/** Jackson and others: 3,000 recordings of digits in English, 8 kHz; these are the 1,500 of three speakers. */
export const spokenDigitsSource: SpokenDigitsSource = {
  folder: "fsdd",
  addresses: ["https://codeload.github.com/Jakobovski/free-spoken-digit-dataset/tar.gz/"],
  files: [
    {
      name: "fsdd-jackson-nicolas-theo.tar.gz",
      sha256: "6ba74065713fccf19f5d9a25b7990996f9717ba47b2ee0af5f9328c3e118df12",
    },
    // The whole repository at that commit, packed by the server.
    {
      name: "26eb9aaf76e8",
      sha256: "3974616503c6adffa183aca259e893d3ee7578f4c76dba18faf0f1f95fdbb793",
      digest: recordingsDigest,
    },
  ],
};
