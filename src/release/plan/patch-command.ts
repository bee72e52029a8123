/** The command by which a person decides something of a Downgrade. */

/** For a terminal. */
export function patchCommand(namespace: string, name: string, spec: object): string {
  return `kubectl -n ${namespace} ${patchOf(name, spec)}`;
}

/** What comes after kubectl and the namespace. In a shell's single quotes, so a quote of the text is written as JSON may. */
export function patchOf(name: string, spec: object): string {
  return `patch downgrade ${name} --type merge -p '${JSON.stringify({ spec }).replaceAll("'", '\\u0027')}'`;
}
