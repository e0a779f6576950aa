import { createHmac, createSecretKey, hash, type KeyObject } from 'node:crypto'

/** The credentials that sign requests. */
export interface AwsCredentials {
  accessKeyId: string
  secretAccessKey: string
  /** Present with temporary credentials, such as those of a Lambda function. */
  sessionToken?: string | undefined
}

/** A `POST` request. Names of `headers` are lower-case and include `host`. */
export interface Unsigned {
  headers: Readonly<Record<string, string>>
  body: string
}

/**
 * Signs requests to a service by AWS's Signature Version 4, as far as our requests need it: one path, no
 * query, header values without runs of spaces, every header signed.
 * @param path must consist of characters that a URL does not escape.
 * @returns a function that gives the request's headers with the signature, which is valid for five minutes
 *   from `atMs`.
 */
export function requestSigner(region: string, credentials: AwsCredentials, service: string, path = '/') {
  const { accessKeyId, secretAccessKey, sessionToken } = credentials
  // A KeyObject, because preparing a Buffer as a key takes longer than the MAC.
  let key: { day: string; secret: KeyObject } | undefined

  return ({ headers, body }: Unsigned, atMs: number): Record<string, string> => {
    const time = new Date(atMs).toISOString().replace(/-|:|\.\d+/g, '')
    const day = time.slice(0, 8)
    // The signing key is derived from the secret by four MACs and stays the same for a day.
    const parts = [day, region, service, 'aws4_request']
    const scope = parts.join('/')
    if (key?.day !== day) {
      const secret = parts.reduce<Buffer>(hmac, Buffer.from(`AWS4${secretAccessKey}`))
      key = { day, secret: createSecretKey(secret) }
    }
    const signed: Record<string, string> = {
      ...headers,
      'x-amz-date': time,
      ...(sessionToken !== undefined && { 'x-amz-security-token': sessionToken }),
    }
    const names = Object.keys(signed).sort()
    const list = names.join(';')
    const lines = names.map((name) => `${name}:${signed[name]}\n`).join('')
    const canonical = `POST\n${path}\n\n${lines}\n${list}\n${sha256(body)}`
    const toSign = `AWS4-HMAC-SHA256\n${time}\n${scope}\n${sha256(canonical)}`
    const signature = hmac(key.secret, toSign).toString('hex')
    signed.authorization = `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, SignedHeaders=${list}, Signature=${signature}`
    return signed
  }
}

const sha256 = (text: string): string => hash('sha256', text)
const hmac = (key: Buffer | KeyObject, text: string): Buffer =>
  createHmac('sha256', key).update(text).digest()
