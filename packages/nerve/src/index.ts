export { type DockerConfig, dockerConfig, type NerveConfig, nerveConfig } from "./config.ts";
export { createNerve, type Nerve, type NerveDeps, type NerveOptions } from "./nerve.ts";
