import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

/** An AWS account without anything in it, as far as SST's CLI asks for more than Pulumi does. */
export interface Account {
  url: string
  /** The names of the parameters that were stored, such as the passphrase of a stage's secrets. */
  parameters: ReadonlyMap<string, string>
  /** What was stored in S3, by bucket and key. */
  objects: ReadonlyMap<string, Buffer>
  /** Requests that the stand-in does not know. */
  unknown: string[]
  close(): Promise<void>
}

const ACCOUNT = '123456789012'

/**
 * Starts the stand-in for STS, SSM, ECR and S3, in which SST keeps its state: SST makes its buckets at its first run, then
 * stores secrets and the state of each stage.
 */
export async function startAccount(): Promise<Account> {
  const parameters = new Map<string, string>()
  const objects = new Map<string, Buffer>()
  const unknown: string[] = []
  const named: Record<string, (asked: { Name: string; Value: string }) => object | undefined> = {
    'AmazonSSM.GetParameter': ({ Name }) =>
      parameters.has(Name) ? { Parameter: { Name, Value: parameters.get(Name) } } : undefined,
    'AmazonSSM.PutParameter': ({ Name, Value }) => {
      parameters.set(Name, Value)
      return { Version: 1 }
    },
    'AmazonEC2ContainerRegistry_V20150921.CreateRepository': () => ({
      repository: {
        registryId: ACCOUNT,
        repositoryUri: `${ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/sst-asset`,
      },
    }),
  }
  const server: Server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const body = Buffer.concat(chunks)
    const send = (status: number, text: string | Buffer = '', type = 'application/x-amz-json-1.1') =>
      void response.writeHead(status, { 'content-type': type }).end(text)
    const target = String(request.headers['x-amz-target'] ?? '')
    if (target) {
      const answer = named[target]
      if (!answer) unknown.push(target)
      const found = answer?.(JSON.parse(body.toString()))
      return found ? send(200, JSON.stringify(found)) : send(400, '{"__type":"ParameterNotFound"}')
    }
    const { pathname, search } = new URL(request.url ?? '/', 'http://account')
    const key = decodeURIComponent(pathname)
    if (body.includes('Action=GetCallerIdentity'))
      return send(
        200,
        xml(
          'GetCallerIdentityResponse',
          `<GetCallerIdentityResult><Account>${ACCOUNT}</Account></GetCallerIdentityResult>`,
        ),
        'text/xml',
      )
    if (request.method === 'PUT') {
      // Buckets and their settings have no key.
      if (key.split('/').length > 2)
        objects.set(key, unchunked(body, String(request.headers['content-encoding'] ?? '')))
      return send(200)
    }
    if (request.method === 'DELETE') {
      objects.delete(key)
      return send(204)
    }
    const object = request.method === 'GET' ? objects.get(key) : undefined
    if (object) return send(200, object, 'application/json')
    if (request.method !== 'GET') unknown.push(`${request.method} ${key}${search}`)
    return send(404, xml('Error', '<Code>NoSuchKey</Code>'), 'text/xml')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    parameters,
    objects,
    unknown,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

const xml = (name: string, inner: string): string => `<?xml version="1.0"?><${name}>${inner}</${name}>`

/** The object of a body that an SDK sends in chunks with a checksum at its end: `size CRLF bytes CRLF … 0 CRLF`. */
function unchunked(body: Buffer, encoding: string): Buffer {
  if (!encoding.includes('aws-chunked')) return body
  const parts: Buffer[] = []
  for (let at = 0; ; ) {
    const end = body.indexOf('\r\n', at)
    const size = Number.parseInt(body.toString('latin1', at, end), 16)
    if (!(size > 0)) return Buffer.concat(parts)
    parts.push(body.subarray(end + 2, end + 2 + size))
    at = end + 2 + size + 2
  }
}
