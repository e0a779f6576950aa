import { timingSafeEqual } from 'node:crypto'

/** The header in which our distribution shows that a request comes through it. Its value is a secret of the stage. */
export const EDGE_HEADER = 'x-bursar-edge'

/** An address and a port. CloudFront writes IPv6 without brackets, so the port is what follows the last colon. */
const VIEWER = /^\[?([\da-f.:]+)\]?:\d+$/i

interface Sent {
  headers: Readonly<Record<string, string | undefined>>
  requestContext: { http: { sourceIp: string } }
}

/**
 * The network address of the caller. Behind CloudFront the gateway sees CloudFront's, so CloudFront's word counts, but only
 * with the secret: everybody can reach the gateway and send any header.
 * @param secret undefined for a stage without a distribution, which believes no header; two with a comma between while
 *   the root secret rotates
 */
export function sourceAddress(sent: Sent, secret: string | undefined): string {
  const { sourceIp } = sent.requestContext.http
  if (!isFromEdge(sent, secret)) return sourceIp
  return VIEWER.exec(sent.headers['cloudfront-viewer-address'] ?? '')?.[1] ?? sourceIp
}

/** Whether the request has come through the distribution. @param secret as of `sourceAddress` */
export function isFromEdge({ headers }: Pick<Sent, 'headers'>, secret: string | undefined): boolean {
  const sent = headers[EDGE_HEADER]
  return !!secret && !!sent && secret.split(',').some((each) => isSame(sent, each))
}

/** Compares in a time that does not tell how much is right. */
function isSame(sent: string, secret: string): boolean {
  const [one, other] = [Buffer.from(sent), Buffer.from(secret)]
  return one.length === other.length && timingSafeEqual(one, other)
}
