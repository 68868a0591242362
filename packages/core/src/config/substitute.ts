/** What a text asks the environment for and did not get. */
export class UnsetVariable extends Error {
  readonly variable: string;

  constructor(variable: string) {
    super(`environment variable ${variable} is not set and has no default`);
    this.variable = variable;
  }
}

/** The template dialect of the originals that this reader does not have. */
export class UnsupportedTemplate extends Error {}

const PATTERN =
  /\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|<%=\s*ENV(?:\.fetch\(\s*(["'])([A-Za-z_]\w*)\3\s*(?:,\s*(["'])(.*?)\5\s*)?\)|\[\s*(["'])([A-Za-z_]\w*)\7\s*\](?:\s*\|\|\s*(["'])(.*?)\9)?)\s*-?%>|<%#.*?%>|(<%.*?%>)/gs;

/**
 * Replaces `${VAR}`, `${VAR:-default}` and the originals' `<%= ENV['VAR'] %>`, `<%= ENV['VAR'] || 'default' %>`,
 * `<%= ENV.fetch('VAR', 'default') %>` and `<%# comment %>` in one scalar. `$${` stays a literal `${`.
 * @throws UnsetVariable when a variable has neither a value nor a default; UnsupportedTemplate for any other Ruby code.
 */
export function substitute(text: string, env: Readonly<Record<string, string | undefined>>): string {
  return text
    .split("$${")
    .map((part) =>
      part.replace(
        PATTERN,
        (
          whole,
          name?: string,
          fallback?: string,
          _q1?: string,
          fetched?: string,
          _q2?: string,
          fetchDefault?: string,
          _q3?: string,
          indexed?: string,
          _q4?: string,
          orElse?: string,
          other?: string,
        ) => {
          if (other !== undefined)
            throw new UnsupportedTemplate(`only <%= ENV['NAME'] %> is understood here, not ${whole}`);
          const variable = name ?? fetched ?? indexed;
          if (variable === undefined) return "";
          const value = env[variable];
          // ${VAR:-default} follows the shell: an empty value takes the default too.
          if (fallback !== undefined && (value === undefined || value === "")) return fallback;
          const found = value ?? fetchDefault ?? orElse;
          if (found === undefined) throw new UnsetVariable(variable);
          return found;
        },
      ),
    )
    .join("${");
}
