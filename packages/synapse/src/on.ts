/** How YAML's own words, quoted or not, say yes. */
export const ON = /^(on|yes|true)$/i;
