export { type ServiceConfig, type SynapseConfig, synapseConfig } from "./config.ts";
export { createSynapse, type StopOptions, type Synapse, type SynapseDeps } from "./synapse.ts";
