/** What the API server answers when it does not do what was asked. */

/** An answer of the API server other than 2xx. `reason` is the API's CamelCase word (NotFound, Conflict, Forbidden …). */
export class ApiError extends Error {
  status: number;
  reason: string;
  /** From the Retry-After header; undefined when there was none. */
  retryAfterSeconds: number | undefined;
  /** Method and path. */
  request: string;
  /** Warning headers, as they came: what admission said before something refused. */
  warnings = '';

  constructor(status: number, reason: string, message: string, retryAfterSeconds?: number, request = '') {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.reason = reason;
    this.retryAfterSeconds = retryAfterSeconds;
    this.request = request;
  }
}

/** Makes the error of an answer from its status code, its body (a v1.Status, or any text of a proxy) and its headers. */
export function errorOf(request: string, status: number, body: string, retryAfter?: string): ApiError {
  const told = statusIn(body);
  const seconds = retryAfter !== undefined && /^\d+$/.test(retryAfter) ? Number(retryAfter) : undefined;
  const message = told.message ?? (body.trim().slice(0, 300) || 'no explanation');
  return new ApiError(status, told.reason ?? '', `${request}: ${status} ${message}`, seconds, request);
}

function statusIn(body: string): { reason?: string; message?: string } {
  try {
    const parsed = JSON.parse(body) as { kind?: string; reason?: string; message?: string } | null;
    return parsed?.kind === 'Status' ? parsed : {};
  } catch {
    // A load balancer in front of the API server answers in HTML or plain text; errorOf quotes it.
    return {};
  }
}

/**
 * What may be said of an error to whoever asked for a review, which can be anybody: of an answer of the API server its
 * status alone, since its text names our account, its rights and what there is.
 */
export function withoutItsText(error: unknown): Error {
  if (!(error instanceof ApiError)) return error instanceof Error ? error : new Error(String(error));
  const answered = `the API server answered ${[error.status, error.reason].filter(Boolean).join(' ')}`;
  return new Error(error.request ? `${answered} to ${error.request}` : answered);
}

/** The object is not there (404). */
export function notFound(error: unknown): boolean {
  return error instanceof ApiError && error.status === 404;
}

/** Exists already, changed in between, or another uid than asked for (409). */
export function conflict(error: unknown): boolean {
  return error instanceof ApiError && error.status === 409;
}

/** The resource version asked for is too old to be served (410). */
export function expired(error: unknown): boolean {
  return error instanceof ApiError && error.status === 410;
}
