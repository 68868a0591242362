import { isAbsolute } from "node:path";
import { z } from "zod";
import { ttl } from "./config.ts";
import type { Driver } from "./driver.ts";

const folder = z
  .string()
  .refine(isAbsolute, { error: "expected the absolute path of a directory" })
  .default("/smartstack/services");

const config = z.strictObject({ type: z.literal("file"), prefix: folder, ttl });

export type FileConfig = z.output<typeof config>;

/** A directory, shared by the processes of one host or over a volume. */
export const file: Driver<FileConfig> = {
  config,
  async open(settings, deps) {
    const { fileRegistry } = await import("./file/registry.ts");
    return fileRegistry(settings, deps);
  },
};
