/** What a setting's text may be: each takes a text and returns the value, or throws with what is expected. */

export function dnsLabel(text: string): string {
  if (/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(text)) return text;
  throw new Error('a name of lower-case letters, digits and dashes');
}

/** Kubernetes itself sets DOWNDRAFT_PORT=tcp://… in pods beside a Service of our name. */
export function portNumber(text: string): number {
  const links = text.startsWith('tcp://') ? '; Kubernetes set this one: give the pod enableServiceLinks: false' : '';
  const port = Number(text);
  if (Number.isInteger(port) && port >= 0 && port <= 65535) return port;
  throw new Error(`a port number${links}`);
}

export function between(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (value >= least && value <= most) return value;
    throw new Error(`a number from ${least} to ${most}`);
  };
}

export function oneOf<const T extends string>(...choices: T[]): (text: string) => T {
  return (text) => {
    const choice = choices.find((c) => c === text);
    if (choice !== undefined) return choice;
    throw new Error(`one of ${choices.join(', ')}`);
  };
}

export function list(text: string): readonly string[] {
  return Object.freeze(
    text
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== ''),
  );
}

export function httpsUrl(text: string): string {
  if (URL.parse(text)?.protocol === 'https:') return text;
  throw new Error('a URL that begins with https://');
}
