import { SignatureV4 } from '@smithy/signature-v4'
import { afterAll, beforeEach, expect, test } from 'vitest'
import { requestSigner } from '../../core/adapters/aws-sign.ts'
import { lambdaRenewals } from '../../core/adapters/lambda-renewals.ts'
import { listen } from '../local/http.ts'
import { startLambdaApi } from '../local/lambda-api.ts'
import { Sha256 } from '../support/sha256.ts'

const ACCOUNT = '6955b9000123456789abcdef'
const credentials = { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret', sessionToken: 'token' }
const region = 'eu-west-1'
const functionName = 'bursar-production-jobs-renew'
const path = `/2015-03-31/functions/${functionName}/invocations`

const double = await startLambdaApi()
afterAll(() => double.close())
beforeEach(() => {
  double.clearFaults()
  double.resetCalls()
  double.take()
})
const renewalsAt = (endpoint: string) => lambdaRenewals({ functionName, region, endpoint, credentials })

test('a start is one asynchronous invocation that names the account', async () => {
  await renewalsAt(double.url).start(ACCOUNT)
  expect(double.take()).toEqual([{ functionName, event: { accountId: ACCOUNT } }])
  expect(double.calls()).toEqual({ Invoke: 1 })
})

test('its signature equals that of AWS’s own signer', async () => {
  const headers = {
    host: 'lambda.eu-west-1.amazonaws.com',
    'content-type': 'application/json',
    'x-amz-invocation-type': 'Event',
  }
  const body = JSON.stringify({ accountId: ACCOUNT })
  const reference = new SignatureV4({
    service: 'lambda',
    region,
    credentials,
    sha256: Sha256,
    applyChecksum: false,
  })
  const request = { method: 'POST', protocol: 'https:', hostname: headers.host, path, headers, body }
  const signed = await reference.sign(request, { signingDate: new Date(0) })
  expect(requestSigner(region, credentials, 'lambda', path)({ headers, body }, 0)).toEqual(signed.headers)
})

test.each([
  ['error-before', /Lambda answered/],
  ['throttle', /Lambda answered/],
  ['lose-reply-before-commit', /ECONNRESET|hang up/],
] as const)('rejects after %s, without another try', async (fault, message) => {
  double.addFault({ fault })
  await expect(renewalsAt(double.url).start(ACCOUNT)).rejects.toThrow(message)
  expect(double.calls()).toEqual({ Invoke: 1 })
})

test('rejects if Lambda does not answer in time, and does not try again', async () => {
  let requests = 0
  const silent = await listen(() => {
    requests += 1
  })
  await expect(renewalsAt(silent.url).start(ACCOUNT)).rejects.toMatchObject({ name: 'TimeoutError' })
  expect(requests).toBe(1)
  await silent.close()
})

test.each([
  ['another path', '/2015-03-31/functions', {}, 404],
  ['a request without a signature', path, { authorization: '' }, 403],
  ['a synchronous invocation', path, { 'x-amz-invocation-type': 'RequestResponse' }, 400],
])('the double refuses %s', async (_, target, more, status) => {
  const headers = { authorization: 'AWS4-HMAC-SHA256 x', 'x-amz-invocation-type': 'Event', ...more }
  const response = await fetch(double.url + target, { method: 'POST', headers, body: '{}' })
  expect(response.status).toBe(status)
})
