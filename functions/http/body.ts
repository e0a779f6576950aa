import { DomainError } from '../../core/errors.ts'
import { parseForm } from './form.ts'

/** Bytes of a body that we read; the gateway's own limit is far above. */
export const BODY_LIMIT = 65_536

/** Deeper nesting than any schema has. It is refused before anything recursive walks the value. */
const DEPTH_LIMIT = 32

interface RawBody {
  body?: string | undefined
  isBase64Encoded: boolean
  headers: Record<string, string | undefined>
}

/**
 * The request body as a plain value, by its content type; undefined where there is none.
 * @throws DomainError `payload_too_large`, `unsupported_media_type`, `malformed_body`
 */
export function parseBody({ body, isBase64Encoded, headers }: RawBody, form: boolean): unknown {
  if (body === undefined || body === '') return undefined
  const bytes = rawBody({ body, isBase64Encoded })
  const type = mediaType(headers['content-type'])
  const encoding = headers['content-encoding'] ?? 'identity'
  if (encoding !== 'identity') throw new DomainError('unsupported_media_type')
  if (type === 'application/json') return parseJson(utf8(bytes))
  if (type === 'application/x-www-form-urlencoded' && form) return parseForm(utf8(bytes))
  throw new DomainError('unsupported_media_type')
}

/** The body's bytes as they were sent. @throws DomainError `payload_too_large`, `malformed_body` */
export function rawBody({ body = '', isBase64Encoded }: Omit<RawBody, 'headers'>): Buffer {
  const bytes = Buffer.from(body, isBase64Encoded ? 'base64' : 'utf8')
  if (bytes.length > BODY_LIMIT) throw new DomainError('payload_too_large')
  // Node ignores characters that are not Base64.
  if (isBase64Encoded && bytes.toString('base64') !== body) throw new DomainError('malformed_body')
  return bytes
}

/** The media type alone; undefined when a charset other than UTF-8 is declared. */
function mediaType(header: string | undefined): string | undefined {
  const [type = '', ...parameters] = (header ?? '').toLowerCase().split(';')
  const charset = parameters.map((each) => each.trim()).find((each) => each.startsWith('charset='))
  const declared = charset?.slice('charset='.length).replaceAll('"', '')
  return declared === undefined || declared === 'utf-8' || declared === 'utf8' ? type.trim() : undefined
}

function utf8(bytes: Buffer): string {
  try {
    // ignoreBOM keeps a byte order mark in the text, where JSON refuses it (RFC 8259, section 8.1).
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    throw new DomainError('malformed_body', { detail: 'The body is not valid UTF-8.' })
  }
}

/**
 * JSON.parse, which also refuses nesting beyond the limit, and a key that occurs twice in one object, because parsers
 * differ about which value counts.
 */
export function parseJson(text: string): unknown {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new DomainError('malformed_body', { detail: 'The body is not valid JSON.' })
  }
  // After JSON.parse, because on invalid JSON, such as an unterminated string, the outline takes quadratic time.
  const { keys, depth } = outline(text)
  if (depth > DEPTH_LIMIT)
    throw new DomainError('malformed_body', { detail: 'The body is nested too deeply.' })
  if (countKeys(value) !== keys) {
    throw new DomainError('malformed_body', { detail: 'The body has a key twice in one object.' })
  }
  return value
}

/** Keys and deepest nesting of a JSON text, read token by token. Only meaningful if the text is valid. */
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
