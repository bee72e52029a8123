/** The part of ws that is used here. Once @types/ws is among the dependencies this file can go. */
declare module 'ws' {
  import type { EventEmitter } from 'node:events';
  import type { ClientRequest, IncomingMessage } from 'node:http';
  import type { RequestOptions } from 'node:https';
  import type { Duplex } from 'node:stream';

  export class WebSocket extends EventEmitter {
    constructor(
      url: URL,
      protocols: string[],
      options: RequestOptions & { perMessageDeflate?: boolean; handshakeTimeout?: number; maxPayload?: number },
    );
    readonly protocol: string;
    readonly readyState: number;
    send(bytes: Uint8Array, done?: (error?: Error) => void): void;
    ping(): void;
    pause(): void;
    resume(): void;
    close(code?: number, reason?: string): void;
    terminate(): void;
    on(event: 'message', listener: (bytes: Buffer, binary: boolean) => void): this;
    on(event: 'close', listener: (code: number, reason: Buffer) => void): this;
    on(event: 'unexpected-response', listener: (request: ClientRequest, response: IncomingMessage) => void): this;
    on(event: 'error', listener: (error: Error) => void): this;
    on(event: 'open' | 'pong' | 'ping', listener: () => void): this;
  }

  export class WebSocketServer {
    constructor(options: { noServer: true; handleProtocols?: (offered: Set<string>) => string | false });
    handleUpgrade(request: IncomingMessage, stream: Duplex, head: Buffer, done: (socket: WebSocket) => void): void;
  }
}
