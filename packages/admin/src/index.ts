export { parseAddress } from "./address.ts";
export { type Admin, type AdminOptions, createAdmin } from "./admin.ts";
export type { AdminSources } from "./sources.ts";
