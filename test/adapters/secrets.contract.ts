import { DecryptCommand, EncryptCommand, KMSClient } from '@aws-sdk/client-kms'
import { describe, expect, test } from 'vitest'
import { kmsSecrets } from '../../core/adapters/kms.ts'
import { DomainError } from '../../core/errors.ts'

/**
 * The guarantees of `kmsSecrets` on a service, KMS or its double. The SDK finds the service by its
 * environment variables.
 * @param keyId the ARN of a symmetric key of the service.
 */
export function secretsContract(service: string, keyId: string): void {
  const account = '6955b9000123456789abcdef'

  async function refusal(decrypting: Promise<string>): Promise<void> {
    const error = await decrypting.catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(Error)
    expect(error).not.toBeInstanceOf(DomainError)
    expect((error as Error).message).toBe('The secret was encrypted for another account, or altered.')
  }

  describe(`secrets through ${service}`, () => {
    test('are decrypted for the same account', async () => {
      const secrets = kmsSecrets({ keyId })
      const ciphertext = await secrets.encrypt(account, 'JBSWY3DPEHPK3PXP γεια')
      expect(ciphertext).toMatch(/^[A-Za-z0-9+/]+=*$/)
      expect(Buffer.from(ciphertext, 'base64').toString('latin1')).not.toContain('JBSW')
      await expect(secrets.decrypt(account, ciphertext)).resolves.toBe('JBSWY3DPEHPK3PXP γεια')
    })

    test('differ each time they are encrypted', async () => {
      const secrets = kmsSecrets({ keyId })
      expect(await secrets.encrypt(account, 'same')).not.toBe(await secrets.encrypt(account, 'same'))
    })

    test('are refused for another account', async () => {
      const secrets = kmsSecrets({ keyId })
      const ciphertext = await secrets.encrypt(account, 'mine')
      await refusal(secrets.decrypt(account.replace('6', '7'), ciphertext))
    })

    test('are refused if they are altered, shortened or not a ciphertext', async () => {
      const secrets = kmsSecrets({ keyId })
      const bytes = Buffer.from(await secrets.encrypt(account, 'mine'), 'base64')
      const altered = Buffer.from(bytes)
      altered.writeUInt8(altered.readUInt8(altered.length - 1) ^ 1, altered.length - 1)
      await refusal(secrets.decrypt(account, altered.toString('base64')))
      await refusal(secrets.decrypt(account, bytes.subarray(0, -1).toString('base64')))
      await refusal(secrets.decrypt(account, Buffer.alloc(80, 1).toString('base64')))
      await refusal(secrets.decrypt(account, 'AAAA'))
      await refusal(secrets.decrypt(account, ''))
    })

    test('KMS accepts 4,096 bytes and no more', async () => {
      const client = new KMSClient({})
      const encrypt = (bytes: number) =>
        client.send(new EncryptCommand({ KeyId: keyId, Plaintext: Buffer.alloc(bytes) }))
      await expect(encrypt(4096)).resolves.toMatchObject({ KeyId: keyId })
      await expect(encrypt(4097)).rejects.toMatchObject({ name: 'ValidationException' })
      await expect(encrypt(0)).rejects.toMatchObject({ name: 'ValidationException' })
    })

    test('KMS decrypts without the key’s name, whatever the order of the context', async () => {
      const client = new KMSClient({})
      const { CiphertextBlob } = await client.send(
        new EncryptCommand({
          KeyId: keyId,
          Plaintext: Buffer.from('text'),
          EncryptionContext: { a: '1', b: '2' },
        }),
      )
      const decrypted = await client.send(
        new DecryptCommand({ CiphertextBlob, EncryptionContext: { b: '2', a: '1' } }),
      )
      expect(decrypted).toMatchObject({ KeyId: keyId, EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' })
      expect(Buffer.from(decrypted.Plaintext ?? []).toString()).toBe('text')
    })

    test('an unknown key is temporarily_unavailable, with KMS’s error as the cause', async () => {
      const missing = keyId.replace(/[^/]+$/, '00000000-0000-0000-0000-000000000000')
      await expect(kmsSecrets({ keyId: missing }).encrypt(account, 'text')).rejects.toMatchObject({
        code: 'temporarily_unavailable',
        cause: { name: 'NotFoundException' },
      })
    })
  })
}
