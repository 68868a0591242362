// Preloaded into our proxy by `npm run bench`: measures the data path on Node's public API alone.
import { useHandles } from "../../packages/proxy/dist/handles.js";

useHandles(false);
