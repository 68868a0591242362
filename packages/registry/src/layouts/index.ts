import { dockerRegister } from "./docker-register.ts";
import type { Layout } from "./layout.ts";
import { nerve } from "./nerve.ts";
import { registrator } from "./registrator.ts";

/** Every foreign layout: sorted, one line each. The configuration's schema follows from it. */
export const LAYOUTS = {
  "docker-register": dockerRegister,
  nerve,
  registrator,
} satisfies Readonly<Record<string, Layout>>;

export type LayoutName = keyof typeof LAYOUTS;
