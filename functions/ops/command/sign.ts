import { createHash, createHmac } from 'node:crypto'

/** AWS credentials of an operator, and the region of the deployment. */
export interface Signing {
  accessKeyId: string
  secretAccessKey: string
  /** Present with temporary credentials. */
  sessionToken?: string | undefined
  region: string
}

/** A request as it is sent. */
export interface Unsigned {
  method: string
  url: URL
  body: string | Uint8Array
}

/**
 * Signs a request to an API of API Gateway by AWS's Signature Version 4.
 * @returns the headers to send with it; the signature is valid for five minutes around `atMs`
 */
export function signRequest(signing: Signing, { method, url, body }: Unsigned, atMs: number) {
  const { accessKeyId, secretAccessKey, sessionToken, region } = signing
  const time = new Date(atMs).toISOString().replace(/-|:|\.\d+/g, '')
  const parts = [time.slice(0, 8), region, 'execute-api', 'aws4_request']
  const headers: Record<string, string> = {
    host: url.host,
    'x-amz-date': time,
    ...(sessionToken !== undefined && { 'x-amz-security-token': sessionToken }),
  }
  const names = Object.keys(headers).sort()
  const canonical = [
    method,
    // The service encodes the path that it gets once more.
    url.pathname.split('/').map(encode).join('/'),
    queryOf(url),
    ...names.map((name) => `${name}:${headers[name]}`),
    '',
    names.join(';'),
    createHash('sha256').update(body).digest('hex'),
  ].join('\n')
  const scope = parts.join('/')
  const toSign = ['AWS4-HMAC-SHA256', time, scope, createHash('sha256').update(canonical).digest('hex')]
  const key = parts.reduce<Buffer>(hmac, Buffer.from(`AWS4${secretAccessKey}`))
  const signature = hmac(key, toSign.join('\n')).toString('hex')
  const { host: _, ...sent } = headers
  return {
    ...sent,
    authorization: `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`,
  }
}

const hmac = (key: Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()

/** RFC 3986: everything but unreserved characters is escaped. */
const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`)

const queryOf = ({ searchParams }: URL): string =>
  [...searchParams]
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .sort()
    .join('&')
