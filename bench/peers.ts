/** Other frameworks as processes that run the reference programs; each is optional. */
import { join } from "node:path";
import { Child } from "./children.ts";

export interface PeerOptions {
  /** A Python with the frameworks. */
  readonly python: string | undefined;
  /** A folder with node_modules in which the JavaScript frameworks are installed. */
  readonly javascript: string | undefined;
  readonly threads: number;
  /** Names of peers to run; all when undefined. */
  readonly only: readonly string[] | undefined;
}

export interface Peer {
  readonly name: string;
  /** How to make it available. */
  readonly install: string;
  /** Starts the process for a program; null when the option that says where it is installed is missing. */
  start(program: string): Child | null;
}

const folder = "/tmp/layerwise-peers";
const venv = `python3 -m venv ${folder}/venv && ${folder}/venv/bin/pip install`;

interface Kind {
  readonly name: string;
  readonly script: string;
  readonly variant?: string;
  readonly install: string;
}

const kinds: readonly Kind[] = [
  ...["eager", "channels-last", "compiled"].map((variant) => ({
    name: variant === "eager" ? "PyTorch" : `PyTorch ${variant}`,
    script: "pytorch.py",
    variant,
    install:
      variant === "compiled"
        ? `${venv} torch==2.13.0, and a C++ compiler; then --python ${folder}/venv/bin/python`
        : `${venv} torch==2.13.0; then --python ${folder}/venv/bin/python`,
  })),
  {
    name: "Keras TensorFlow",
    script: "keras3.py",
    variant: "tensorflow",
    install: `${venv} keras==3.15.1 tensorflow-cpu==2.21.0; then --python ${folder}/venv/bin/python`,
  },
  {
    name: "Keras JAX",
    script: "keras3.py",
    variant: "jax",
    install: `${venv} keras==3.15.1 jax==0.10.2; then --python ${folder}/venv/bin/python`,
  },
  {
    name: "TensorFlow.js wasm",
    script: "tfjs.mjs",
    install: `npm install --prefix ${folder} @tensorflow/tfjs@4.22.0 @tensorflow/tfjs-backend-wasm@4.22.0; then --js ${folder}`,
  },
  {
    name: "jax-js",
    script: "jaxjs.mjs",
    install: `npm install --prefix ${folder} @jax-js/jax@0.1.25; then --js ${folder}`,
  },
];

export const peerNames: readonly string[] = kinds.map((k) => k.name);

export function peersFor(options: PeerOptions): Peer[] {
  const { python, javascript, threads, only } = options;
  return kinds
    .filter((k) => only === undefined || only.includes(k.name))
    .map(({ name, script, variant, install }) => ({
      name,
      install,
      start(program) {
        const path = join("bench", "peers", script);
        if (variant === undefined) {
          if (javascript === undefined) return null;
          return new Child(name, process.execPath, [path, program, "--folder", javascript], "quiet");
        }
        if (python === undefined) return null;
        // Python leaves no compiled files beside the sources (-B).
        const args = ["-B", path, program, "--variant", variant, "--threads", String(threads)];
        return new Child(name, python, args, "quiet");
      },
    }));
}
