export { type NerveConfig, nerveConfig } from "./config.ts";
export { type DockerConfig, dockerConfig, dockerEngines, dockerSetting } from "./docker-config.ts";
export { createNerve, type Nerve, type NerveDeps, type NerveOptions } from "./nerve.ts";
