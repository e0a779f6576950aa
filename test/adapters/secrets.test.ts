import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KMSClient } from '@aws-sdk/client-kms'
import { afterAll, afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { kmsSecrets } from '../../core/adapters/kms.ts'
import { listen } from '../local/http.ts'
import { startKms } from '../local/kms.ts'
import { secretsContract } from './secrets.contract.ts'

const ACCOUNT = '6955b9000123456789abcdef'
const double = await startKms()

function pointAt(url: string): void {
  vi.stubEnv('AWS_ENDPOINT_URL_KMS', url)
  vi.stubEnv('AWS_REGION', 'us-east-1')
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'local')
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'local')
}

function clientOf(endpoint: string): KMSClient {
  const credentials = { accessKeyId: 'local', secretAccessKey: 'local' }
  return new KMSClient({ endpoint, region: 'us-east-1', credentials })
}

afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllEnvs()
})
afterAll(() => double.close())

// The ARN of a symmetric key of a real AWS account. Credentials and region come from the environment.
const realKey = process.env.KMS_CONTRACT_KEY_ARN
if (realKey) secretsContract('KMS', realKey)

describe('with the double in the environment', () => {
  beforeEach(() => {
    pointAt(double.url)
    double.resetCalls()
  })

  secretsContract('the double', double.keyId)

  test('calls are counted by operation', async () => {
    const secrets = kmsSecrets({ keyId: double.keyId })
    const ciphertext = await secrets.encrypt(ACCOUNT, 'text')
    await secrets.decrypt(ACCOUNT, ciphertext)
    await secrets.decrypt(ACCOUNT, ciphertext)
    expect(double.calls()).toEqual({ Encrypt: 1, Decrypt: 2 })
    double.resetCalls()
    expect(double.calls()).toEqual({})
  })

  test.each([
    ['an unsigned request', { authorization: '' }, 'MissingAuthenticationTokenException'],
    ['an unknown operation', { 'x-amz-target': 'TrentService.ReEncrypt' }, 'UnknownOperationException'],
    ['a parameter Bursar does not use', {}, 'SerializationException'],
  ])('the double refuses %s', async (_, headers, type) => {
    const response = await fetch(double.url, {
      method: 'POST',
      headers: {
        authorization: 'AWS4-HMAC-SHA256 Credential=local',
        'x-amz-target': 'TrentService.Encrypt',
        ...headers,
      },
      body: JSON.stringify({ KeyId: double.keyId, Plaintext: 'AAAA', DryRun: true }),
    })
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ __type: type })
  })
})

test('a secret survives a restart with the same state file, and no other key decrypts it', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'bursar-kms-'))
  const stateFile = join(folder, 'kms.json')
  const first = await startKms({ stateFile })
  const ciphertext = await kmsSecrets({ keyId: first.keyId, client: clientOf(first.url) }).encrypt(
    ACCOUNT,
    'kept',
  )
  await first.close()

  const second = await startKms({ stateFile })
  expect(second.keyId).toBe(first.keyId)
  const secrets = kmsSecrets({ keyId: second.keyId, client: clientOf(second.url) })
  await expect(secrets.decrypt(ACCOUNT, ciphertext)).resolves.toBe('kept')
  await second.close()

  const stranger = kmsSecrets({ keyId: double.keyId, client: clientOf(double.url) })
  await expect(stranger.decrypt(ACCOUNT, ciphertext)).rejects.toThrow('for another account, or altered')
  rmSync(folder, { recursive: true })
})

test('the double’s key contains the mark that deployed code refuses', () => {
  expect(double.keyId).toMatch(/^arn:aws:kms:.+Local0001/)
})

describe('when KMS fails', () => {
  test.each([
    [400, 'ThrottlingException'],
    [400, 'AccessDeniedException'],
    [400, 'DisabledException'],
    [400, 'KMSInvalidStateException'],
    [500, 'KMSInternalException'],
    [500, 'KeyUnavailableException'],
  ])(
    '%i %s is temporarily_unavailable for both calls, and does not mean that a secret is broken',
    async (status, type) => {
      const kms = await listen((_, response) => {
        response.writeHead(status).end(JSON.stringify({ __type: type, message: 'not now' }))
      })
      pointAt(kms.url)
      const secrets = kmsSecrets({ keyId: double.keyId })
      const expected = { code: 'temporarily_unavailable', cause: { name: type } }
      await expect(secrets.encrypt(ACCOUNT, 'text')).rejects.toMatchObject(expected)
      await expect(secrets.decrypt(ACCOUNT, 'AAAA')).rejects.toMatchObject(expected)
      await kms.close()
    },
  )

  test('no answer is temporarily_unavailable after two attempts of 5 seconds', async () => {
    let requests = 0
    const kms = await listen(() => {
      requests += 1
    })
    pointAt(kms.url)
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    let error: unknown
    const decrypting = kmsSecrets({ keyId: double.keyId })
      .decrypt(ACCOUNT, 'AAAA')
      .catch((thrown: unknown) => {
        error = thrown
      })
    let waitedMs = 0
    for (; error === undefined && waitedMs < 20_000; waitedMs += 100) {
      for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve))
      await vi.advanceTimersByTimeAsync(100)
    }
    await decrypting
    expect(error).toMatchObject({ code: 'temporarily_unavailable', cause: { name: 'TimeoutError' } })
    expect(requests).toBe(2)
    expect(waitedMs).toBeGreaterThan(9_900)
    expect(waitedMs).toBeLessThan(12_000)
    await kms.close()
  })
})
