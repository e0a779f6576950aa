import { SignatureV4 } from '@smithy/signature-v4'
import { describe, expect, test } from 'vitest'
import { signRequest } from '../../functions/ops/command/sign.ts'
import { Sha256 } from '../support/sha256.ts'
import { REGION, type ReceivedRequest } from './event.ts'
import { admit, localOperators } from './iam.ts'

const NOW = Date.UTC(2026, 10, 21, 12)
const operators = localOperators()
const { support } = operators

const URL_ = 'http://127.0.0.1:3000/ops/support/accounts/a%20b/grant?tag=x%2Fy&limit=1&tag=A+b'

type Sent = Pick<ReceivedRequest, 'method' | 'target' | 'rawHeaders' | 'body'>

/** A request as our own command signs it. */
function signed({
  url = URL_,
  method = 'POST',
  body = '{"units":1}',
  atMs = NOW,
  by = support,
  region = REGION,
} = {}): Sent {
  const address = new URL(url)
  const headers = signRequest({ ...by, region }, { method, url: address, body }, atMs)
  const rawHeaders = Object.entries({ host: address.host, ...headers }).flat()
  return { method, target: address.pathname + address.search, rawHeaders, body: Buffer.from(body) }
}

const admitted = (sent: Sent, nowMs = NOW) =>
  admit(
    Object.values(operators),
    { ...sent, httpVersion: '1.1', sourceIp: '127.0.0.1', receivedMs: nowMs, requestId: 'r' },
    nowMs,
  )?.userArn

test('admits what our own command signs, and tells the name of the signer', () => {
  expect(admitted(signed())).toBe(support.userArn)
  expect(admitted(signed({ by: { ...support, sessionToken: undefined } }))).toBe(support.userArn)
})

test('admits what the signer of AWS’s SDK signs, which signs as our own command does', async () => {
  const { accessKeyId, secretAccessKey } = support
  const signer = new SignatureV4({
    service: 'execute-api',
    region: REGION,
    credentials: { accessKeyId, secretAccessKey },
    sha256: Sha256,
    applyChecksum: false,
  })
  const { headers } = await signer.sign(
    {
      method: 'GET',
      protocol: 'http:',
      hostname: '127.0.0.1',
      path: '/ops/support/accounts/a%20b/grant',
      query: { limit: '1' },
      headers: { host: '127.0.0.1:3000' },
    },
    { signingDate: new Date(NOW) },
  )
  const target = '/ops/support/accounts/a%20b/grant?limit=1'
  expect(
    admitted({ method: 'GET', target, rawHeaders: Object.entries(headers).flat(), body: Buffer.from('') }),
  ).toBe(support.userArn)
  const own = signed({ url: `http://127.0.0.1:3000${target}`, method: 'GET', body: '' })
  expect(own.rawHeaders).toContain(headers.authorization)
})

describe('refuses', () => {
  const withHeader = (sent: Sent, name: string, change: (value: string) => string): Sent => ({
    ...sent,
    rawHeaders: sent.rawHeaders.map((value, at) =>
      at % 2 === 1 && sent.rawHeaders[at - 1] === name ? change(value) : value,
    ),
  })

  test.each<[string, Sent]>([
    [
      'a signature with another digit',
      withHeader(signed(), 'authorization', (value) =>
        value.replace(/.$/, (one) => (one === '0' ? '1' : '0')),
      ),
    ],
    ['a signature cut short', withHeader(signed(), 'authorization', (value) => value.slice(0, -2))],
    ['another method', { ...signed(), method: 'PUT' }],
    ['another path', { ...signed(), target: signed().target.replace('grant', 'take') }],
    ['another query', { ...signed(), target: `${signed().target}&more=1` }],
    ['another body', { ...signed(), body: Buffer.from('{"units":1000}') }],
    ['another host', withHeader(signed(), 'host', () => 'evil.example')],
    ['another time', withHeader(signed(), 'x-amz-date', () => '20261121T120100Z')],
    [
      'another day in the scope',
      withHeader(signed(), 'authorization', (value) => value.replace('/20261121/', '/20261120/')),
    ],
    ['another region', signed({ region: 'us-east-1' })],
    ['a secret that is not the operator’s', signed({ by: { ...support, secretAccessKey: 'x' } })],
    ['somebody unknown', signed({ by: { ...support, accessKeyId: 'AKIANOBODY' } })],
    ['a session token that the credentials have not', signed({ by: { ...support, sessionToken: 'x' } })],
    ['no signature', { ...signed(), rawHeaders: ['host', '127.0.0.1:3000'] }],
    [
      'a header that covers neither host nor time',
      withHeader(signed(), 'authorization', (value) => value.replace('host;x-amz-date', 'x-amz-date')),
    ],
  ])('%s', (_, sent) => {
    expect(admitted(sent)).toBe(undefined)
  })

  test('a signature that is older or newer than five minutes by the stack’s clock', () => {
    for (const minutes of [-5, 5]) expect(admitted(signed(), NOW + minutes * 60_000)).toBe(support.userArn)
    for (const minutes of [-6, 6]) expect(admitted(signed(), NOW + minutes * 60_000)).toBe(undefined)
  })

  test('a path of a role that is higher than the operator’s', () => {
    const at = (role: string) =>
      signed({ url: `http://127.0.0.1:3000/ops/${role}/x`, method: 'GET', body: '' })
    const roles = ['read', 'support', 'admin']
    expect(roles.map((role) => admitted(at(role)) !== undefined)).toEqual([true, true, false])
  })
})
