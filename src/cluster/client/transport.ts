/** One HTTP exchange over node:http(s), with an end in time. Knows nothing of Kubernetes. */
import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';

/** A signal that fires after `timeoutMs` or with `outer`. `clear` must be called, or the timer and listener stay. */
export function limit(timeoutMs: number, outer?: AbortSignal): { signal: AbortSignal; clear(): void } {
  const controller = new AbortController();
  const stop = () => controller.abort(outer?.reason);
  const timer = setTimeout(
    () => controller.abort(new Error(`no answer within ${Math.round(timeoutMs)} ms`)),
    timeoutMs,
  );
  if (outer?.aborted) stop();
  else outer?.addEventListener('abort', stop, { once: true });
  return {
    signal: controller.signal,
    clear() {
      clearTimeout(timer);
      outer?.removeEventListener('abort', stop);
    },
  };
}

/**
 * Sends a request and returns the response once its headers are here; the body is still to be read. When `signal`
 * fires, before or while the body is read, the connection is destroyed. Throws the signal's reason or the socket's error.
 */
export async function send(
  url: URL,
  options: https.RequestOptions,
  body: string | undefined,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  signal.throwIfAborted();
  const { request } = url.protocol === 'http:' ? http : https;
  return await new Promise((resolve, reject) => {
    const sent = request(url, { ...options, signal }, resolve);
    // A kept connection that the server has just closed; the caller may try once more when it only reads.
    sent.on('error', (error) =>
      reject(signal.aborted ? signal.reason : Object.assign(error, { reused: sent.reusedSocket })),
    );
    sent.end(body);
  });
}

/**
 * Reads a response to its end as text. Throws the signal's reason or the socket's error when it is cut, and an error of
 * its own when there is more of it than `most` characters.
 */
export async function textOf(response: IncomingMessage, signal: AbortSignal, most = Infinity): Promise<string> {
  response.setEncoding('utf8');
  let text = '';
  try {
    for await (const chunk of response) {
      text += chunk;
      // Leaving the loop destroys the response, and the connection with it.
      if (text.length > most) throw new Error(`the answer is longer than ${most} characters`);
    }
  } catch (error) {
    throw signal.aborted ? signal.reason : error;
  }
  return text;
}
