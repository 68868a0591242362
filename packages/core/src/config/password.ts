import { readFile } from "node:fs/promises";
import { z } from "zod";

/** The keys of a password, for whatever logs in somewhere. */
export const passwordKeys = {
  password: z.string().min(1).optional(),
  /** A file whose first line is the password; read for every login, so that a changed one is taken at once. */
  password_file: z.string().min(1).optional(),
};

/** What `passwordKeys` become. */
export type PasswordOptions = z.output<z.ZodObject<typeof passwordKeys>>;

/** The password that was configured, if any. @throws Error that names the file when it cannot be read or is empty. */
export async function passwordOf(options: PasswordOptions): Promise<string | undefined> {
  const file = options.password_file;
  if (file === undefined) return options.password;
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw new Error("password_file cannot be read", { cause });
  });
  const password = text.split("\n", 1)[0]?.trim() ?? "";
  if (password === "") throw new Error(`password_file ${file} is empty, expected a password in its first line`);
  return password;
}
