/** YAML 1.1 reads a bare off as false; the loader hands the source text on. */
export const OFF = /^(off|no|false)$/i;
