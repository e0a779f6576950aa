import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readBody } from '../local/http.ts'
import type { Stack } from '../local/stack.ts'

/** Marks values of this check where the local stack has its own mark, which deployed code refuses. */
export const MARK = 'Runtime01'
const LOCAL_MARK = 'Local0001'
/** Services whose doubles know their keys by the mark of the local stack. */
const MARKED = /^kms\.|^api\.stripe\./

export interface StandIns {
  port: number
  /** The certificate that containers have to trust. */
  certificate: string
  /** From now on each open connection is answered with a reset, as by a peer that has forgotten the connection. */
  forget(): void
  /** How many requests came over forgotten connections, since the last call. */
  takeResets(): number
  /** Names of services that nobody stands for, and that were called. */
  strangers: Set<string>
  close(): Promise<void>
}

const REGION = 'eu-west-1'

/** A double of the stack for each service, by the host of the service. */
const doublesOf = ({
  dynamo,
  cognito,
  mail,
  kms,
  lambda,
  events,
  stripe,
}: Stack): Record<string, string | undefined> => ({
  [`dynamodb.${REGION}.amazonaws.com`]: dynamo.url,
  [`cognito-idp.${REGION}.amazonaws.com`]: cognito.url,
  [`email.${REGION}.amazonaws.com`]: mail.url,
  [`kms.${REGION}.amazonaws.com`]: kms.url,
  [`lambda.${REGION}.amazonaws.com`]: lambda.url,
  [`events.${REGION}.amazonaws.com`]: events.url,
  'api.stripe.com': stripe?.url,
})

/** Starts a TLS server that is all of AWS's services and Stripe, in front of the doubles of the local stack. */
export async function startStandIns(stack: Stack): Promise<StandIns> {
  const doubles = doublesOf(stack)
  const folder = mkdtempSync(join(tmpdir(), 'bursar-runtime-'))
  const { key, cert, certificate } = makeCertificate(folder, Object.keys(doubles))
  const raw = new Map<number | undefined, Socket>()
  const forgotten = new Set<Socket>()
  const strangers = new Set<string>()
  let resets = 0

  const server = createServer({ key, cert }, async (request, response) => {
    const host = String(request.headers.host).replace(/:\d+$/, '')
    const body = await readBody(request)
    const socket = raw.get(request.socket.remotePort)
    if (socket && forgotten.has(socket)) {
      resets++
      return void socket.resetAndDestroy()
    }
    const double = doubles[host]
    if (!double) {
      strangers.add(host)
      return void response.writeHead(502).end()
    }
    const keys = String(request.url).endsWith('/.well-known/jwks.json')
    const url = keys ? stack.cognito.jwksUri : double + request.url
    const isTranslated = MARKED.test(host)
    const to = (text: string) => (isTranslated ? text.replaceAll(MARK, LOCAL_MARK) : text)
    const headers = {
      ...request.headers,
      ...(request.headers.authorization && { authorization: to(request.headers.authorization) }),
    }
    const call = httpRequest(to(url), { method: request.method ?? 'GET', headers }, async (answer) => {
      const bytes = await readBody(answer)
      const text = bytes.toString('latin1')
      const { connection: _, 'transfer-encoding': __, 'x-amz-crc32': ___, ...rest } = answer.headers
      const back = isTranslated ? text.replaceAll(LOCAL_MARK, MARK) : text
      response
        .writeHead(answer.statusCode ?? 502, { ...rest, 'content-length': back.length })
        .end(back, 'latin1')
    })
    call.on('error', () => response.destroy())
    call.end(Buffer.from(to(body.toString('latin1')), 'latin1'))
  })
  server.keepAliveTimeout = 0
  server.on('connection', (socket: Socket) => {
    const { remotePort } = socket
    raw.set(remotePort, socket)
    socket.once('close', () => raw.delete(remotePort))
    socket.on('error', () => {})
  })
  server.on('tlsClientError', () => {})
  await once(server.listen(0, '127.0.0.1'), 'listening')

  return {
    port: (server.address() as AddressInfo).port,
    certificate,
    forget: () => {
      for (const socket of raw.values()) forgotten.add(socket)
    },
    takeResets: () => {
      const taken = resets
      resets = 0
      return taken
    },
    strangers,
    close: async () => {
      server.closeAllConnections()
      server.close()
      rmSync(folder, { recursive: true })
    },
  }
}

/** A certificate for these names that nobody has signed; containers trust it by `NODE_EXTRA_CA_CERTS`. */
function makeCertificate(folder: string, names: string[]) {
  const [keyFile, certificate] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const config = join(folder, 'openssl.cnf')
  writeFileSync(
    config,
    `[req]\ndistinguished_name=name\nx509_extensions=own\nprompt=no\n[name]\nCN=stand-ins\n[own]\nbasicConstraints=CA:TRUE\nsubjectAltName=${names.map((name) => `DNS:${name}`).join(',')}\n`,
  )
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'rsa:2048',
      '-nodes',
      '-days',
      '2',
      '-config',
      config,
      '-keyout',
      keyFile,
      '-out',
      certificate,
    ],
    { stdio: 'ignore' },
  )
  return { key: readFileSync(keyFile), cert: readFileSync(certificate), certificate }
}
