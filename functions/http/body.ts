import { DomainError } from '../../core/errors.ts'
import { parseForm } from './form.ts'

/** The largest body that is accepted, in bytes; the gateway's own limit is far higher. */
export const BODY_LIMIT = 65_536

/** The largest body of a row that takes it unparsed, in bytes: a signed event is as large as Stripe makes it. */
export const RAW_BODY_LIMIT = 1_048_576

/**
 * The deepest nesting that is accepted, more than any schema has. Recursive code never sees a deeper body.
 */
const DEPTH_LIMIT = 32

interface RawBody {
  body?: string | undefined
  isBase64Encoded: boolean
  headers: Record<string, string | undefined>
}

/**
 * Parses the request body by its content type; undefined if there is none.
 * @throws DomainError `payload_too_large`, `unsupported_media_type`, `malformed_body`
 */
export function parseBody({ body, isBase64Encoded, headers }: RawBody, form: boolean): unknown {
  if (body === undefined || body === '') return undefined
  const bytes = rawBody({ body, isBase64Encoded }, BODY_LIMIT)
  const type = mediaType(headers['content-type'])
  const encoding = headers['content-encoding'] ?? 'identity'
  if (encoding !== 'identity') throw new DomainError('unsupported_media_type')
  if (type === 'application/json') return parseJson(utf8(bytes))
  if (type === 'application/x-www-form-urlencoded' && form) return parseForm(utf8(bytes))
  throw new DomainError('unsupported_media_type')
}

/**
 * Returns the body's bytes as they were sent.
 * @param limit the most bytes that are accepted.
 * @throws DomainError `payload_too_large`, `malformed_body`
 */
export function rawBody({ body = '', isBase64Encoded }: Omit<RawBody, 'headers'>, limit: number): Buffer {
  const bytes = Buffer.from(body, isBase64Encoded ? 'base64' : 'utf8')
  if (bytes.length > limit)
    throw new DomainError('payload_too_large', { detail: `The body is larger than ${limit / 1024} KiB.` })
  // Node ignores characters that are not Base64, so the bytes are compared with the text.
  if (isBase64Encoded && bytes.toString('base64') !== body) throw new DomainError('malformed_body')
  return bytes
}

/** The media type without its parameters; undefined if these declare a charset other than UTF-8. */
function mediaType(header: string | undefined): string | undefined {
  const [type = '', ...parameters] = (header ?? '').toLowerCase().split(';')
  const charset = parameters.map((each) => each.trim()).find((each) => each.startsWith('charset='))
  const declared = charset?.slice('charset='.length).replaceAll('"', '')
  return declared === undefined || declared === 'utf-8' || declared === 'utf8' ? type.trim() : undefined
}

function utf8(bytes: Buffer): string {
  try {
    // ignoreBOM keeps a byte order mark in the text, so that JSON.parse refuses it (RFC 8259, section 8.1).
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new DomainError('malformed_body', { detail: 'The body is not valid UTF-8.' })
  }
}

/**
 * JSON.parse with two more checks. It refuses nesting beyond the limit, and a key that occurs twice in one
 * object, because parsers differ about which of the values counts.
 * @throws DomainError `malformed_body`
 */
export function parseJson(text: string): unknown {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new DomainError('malformed_body', { detail: 'The body is not valid JSON.' })
  }
  // The text must be valid here: on an unterminated string, for example, the outline takes quadratic time.
  const { keys, depth } = outline(text)
  if (depth > DEPTH_LIMIT)
    throw new DomainError('malformed_body', { detail: 'The body is nested too deeply.' })
  if (countKeys(value) !== keys) {
    throw new DomainError('malformed_body', { detail: 'The body has a key twice in one object.' })
  }
  return value
}

/** Counts the keys and the deepest nesting of a text that is valid JSON, token by token. */
function outline(text: string): { keys: number; depth: number } {
  let keys = 0
  let depth = 0
  let deepest = 0
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"(?:\s*:)?|[[\]{}]/g)) {
    if (token === '{' || token === '[') deepest = Math.max(deepest, ++depth)
    else if (token === '}' || token === ']') depth--
    else if (token.endsWith(':')) keys++
  }
  return { keys, depth: deepest }
}

function countKeys(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  const inner = Object.values(value).reduce((sum: number, each) => sum + countKeys(each), 0)
  return Array.isArray(value) ? inner : inner + Object.keys(value).length
}
