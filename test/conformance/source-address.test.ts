import { expect, test } from 'vitest'
import { EDGE_HEADER, sourceAddress } from '../../functions/http/source-address.ts'

const SECRET = 'the-secret-of-this-stage'
const GATEWAY_SEES = '203.0.113.9'

const addressOf = (headers: Record<string, string>, secret: string | undefined = SECRET) =>
  sourceAddress({ headers, requestContext: { http: { sourceIp: GATEWAY_SEES } } }, secret)

const viewer = (address: string, secret = SECRET) => ({
  'cloudfront-viewer-address': address,
  [EDGE_HEADER]: secret,
})

test.each([
  ['198.51.100.10:46532', '198.51.100.10'],
  ['2001:db8:85a3::8a2e:370:7334:46532', '2001:db8:85a3::8a2e:370:7334'],
  ['[2001:db8::1]:443', '2001:db8::1'],
  ['::1:80', '::1'],
])('CloudFront’s word %s is believed with the secret of the stage', (sent, address) => {
  expect(addressOf(viewer(sent))).toBe(address)
})

test.each([
  ['no secret', { 'cloudfront-viewer-address': '198.51.100.10:1' }],
  ['an empty secret', viewer('198.51.100.10:1', '')],
  ['a wrong secret', viewer('198.51.100.10:1', 'the-secret-of-that-stage')],
  ['a part of the secret', viewer('198.51.100.10:1', SECRET.slice(0, -1))],
  ['the secret twice', viewer('198.51.100.10:1', `${SECRET},${SECRET}`)],
  ['a wrong secret before the right one', viewer('198.51.100.10:1', `x,${SECRET}`)],
  ['several addresses', viewer('198.51.100.10:1,198.51.100.11:1')],
  ['no port', viewer('198.51.100.10')],
  ['no address', viewer('unknown:1')],
  ['the secret alone', { [EDGE_HEADER]: SECRET }],
  [
    'another header',
    { [EDGE_HEADER]: SECRET, 'x-forwarded-for': '198.51.100.10', forwarded: 'for=198.51.100.10' },
  ],
])('a request with %s has the address that the gateway sees', (_, headers) => {
  expect(addressOf(headers)).toBe(GATEWAY_SEES)
})

test.each([undefined, ''])('a stage without a distribution believes no header (%j)', (secret) => {
  expect(
    sourceAddress(
      {
        headers: viewer('198.51.100.10:1', secret ?? ''),
        requestContext: { http: { sourceIp: GATEWAY_SEES } },
      },
      secret,
    ),
  ).toBe(GATEWAY_SEES)
})
