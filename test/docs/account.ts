import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

/** An AWS account without anything in it, as far as SST's CLI itself asks: for more, it has Pulumi. */
export interface Account {
  url: string
  /** What was stored in S3, by `/bucket/key`. */
  objects: ReadonlyMap<string, Buffer>
  /** Requests that the stand-in does not know. */
  unknown: string[]
  close(): Promise<void>
}

interface Answer {
  status: number
  type?: string
  body?: string | Buffer
}

const ACCOUNT = '123456789012'

/**
 * Starts the stand-in for SSM, ECR and S3, where SST keeps its state: at its first run it makes buckets and a repository,
 * then it stores a passphrase, and secrets and the state of each stage.
 */
export async function startAccount(): Promise<Account> {
  const parameters = new Map<string, string>()
  const objects = new Map<string, Buffer>()
  const unknown: string[] = []
  const byTarget: Record<string, (asked: { Name: string; Value: string }) => Answer> = {
    'AmazonSSM.GetParameter'({ Name }) {
      const Value = parameters.get(Name)
      return Value === undefined
        ? { status: 400, body: '{"__type":"ParameterNotFound"}' }
        : json({ Parameter: { Name, Value } })
    },
    'AmazonSSM.PutParameter'({ Name, Value }) {
      parameters.set(Name, Value)
      return json({ Version: 1 })
    },
    'AmazonEC2ContainerRegistry_V20150921.CreateRepository': () =>
      json({ repository: { registryId: ACCOUNT, repositoryUri: `${ACCOUNT}.dkr.ecr.example/sst-asset` } }),
  }
  /** S3: what has no key is a bucket, or a setting of one. */
  const byMethod: Record<string, (key: string, body: Buffer) => Answer> = {
    PUT(key, body) {
      if (/^\/[^/]+\/./.test(key)) objects.set(key, body)
      return { status: 200 }
    },
    GET(key) {
      const body = objects.get(key)
      return body
        ? { status: 200, body }
        : { status: 404, type: 'text/xml', body: '<Error><Code>NoSuchKey</Code></Error>' }
    },
    DELETE(key) {
      objects.delete(key)
      return { status: 204 }
    },
  }
  const answerTo = ({ method = '', url = '', headers }: IncomingMessage, body: Buffer): Answer => {
    const target = headers['x-amz-target']
    const named = byTarget[String(target)]
    if (named) return named(JSON.parse(body.toString()))
    const key = decodeURIComponent(url.split('?')[0] ?? '')
    const stored = target === undefined ? byMethod[method] : undefined
    if (stored) return stored(key, unchunked(body, headers['content-encoding']))
    unknown.push(String(target ?? `${method} ${url}`))
    return { status: 400 }
  }
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const { status, type = 'application/x-amz-json-1.1', body } = answerTo(request, Buffer.concat(chunks))
    response.writeHead(status, { 'content-type': type }).end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    objects,
    unknown,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

const json = (value: object): Answer => ({ status: 200, body: JSON.stringify(value) })

/** The object of a body that an SDK sends in chunks with a checksum at its end: `size CRLF bytes CRLF … 0 CRLF`. */
function unchunked(body: Buffer, encoding: string | undefined): Buffer {
  if (!encoding?.includes('aws-chunked')) return body
  const parts: Buffer[] = []
  for (let at = 0; ; ) {
    const end = body.indexOf('\r\n', at)
    const size = Number.parseInt(body.toString('latin1', at, end), 16)
    if (!(size > 0)) return Buffer.concat(parts)
    parts.push(body.subarray(end + 2, end + 2 + size))
    at = end + 2 + size + 2
  }
}
