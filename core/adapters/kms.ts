import { DecryptCommand, EncryptCommand, KMSClient } from '@aws-sdk/client-kms'
import { DomainError } from '../errors.ts'
import type { Secrets } from '../ports.ts'
import { awsClient } from './aws-clients.ts'

/** KMS's errors about the ciphertext itself. A retry does not change them. */
const UNREADABLE = new Set(['InvalidCiphertextException', 'IncorrectKeyException', 'ValidationException'])

/**
 * Secrets under a symmetric KMS key. The account id is the encryption context, so KMS itself refuses a
 * ciphertext that was moved to another account. A ciphertext is base64; a plaintext is 1 to 4,096 bytes.
 * @throws DomainError `temporarily_unavailable` from either call if KMS is not available.
 */
export function kmsSecrets(config: { keyId: string; client?: KMSClient }): Secrets {
  const client = config.client ?? awsClient(KMSClient)
  return {
    async encrypt(accountId, plaintext) {
      const command = new EncryptCommand({
        KeyId: config.keyId,
        Plaintext: Buffer.from(plaintext, 'utf8'),
        EncryptionContext: { account: accountId },
      })
      const { CiphertextBlob } = await client.send(command).catch((cause: unknown) => {
        throw new DomainError('temporarily_unavailable', { cause })
      })
      return Buffer.from(CiphertextBlob ?? []).toString('base64')
    },
    async decrypt(accountId, ciphertext) {
      const command = new DecryptCommand({
        KeyId: config.keyId,
        CiphertextBlob: Buffer.from(ciphertext, 'base64'),
        EncryptionContext: { account: accountId },
      })
      const { Plaintext } = await client.send(command).catch((cause: unknown) => {
        if (cause instanceof Error && UNREADABLE.has(cause.name)) {
          throw new Error('The secret was encrypted for another account, or altered.', { cause })
        }
        throw new DomainError('temporarily_unavailable', { cause })
      })
      return Buffer.from(Plaintext ?? []).toString('utf8')
    },
  }
}
