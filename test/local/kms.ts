import { createCipheriv, createDecipheriv, randomBytes, randomUUID } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import * as z from 'zod/mini'
import { cut, type FaultControls, type OperationFault, operationFaults } from './faults.ts'
import { listen, readBody } from './http.ts'
import { DELETE_FOLDER, openState } from './state.ts'

export interface KmsDouble extends FaultControls<OperationFault> {
  /** For AWS_ENDPOINT_URL_KMS. */
  url: string
  /** The ARN of the only key. */
  keyId: string
  /** Requests since the last reset, by operation, including those answered with an error. */
  calls(): Record<string, number>
  resetCalls(): void
  close(): Promise<void>
}

interface Key {
  arn: string
  /** 32 bytes as hex. */
  secret: string
}

const schema = z.object({ arn: z.string(), secret: z.string().check(z.regex(/^[0-9a-f]{64}$/, 'no key')) })

/** An error answer in KMS's form. The status is 400, except for an internal error of KMS. */
interface Refusal {
  __type: string
  message: string
}

const OPERATIONS = ['Encrypt', 'Decrypt'] as const

const INTERNAL = 'KMSInternalException'

/**
 * A double of KMS with one symmetric key: Encrypt and Decrypt, with the encryption context authenticated.
 *
 * Known differences from KMS: there is one key, without aliases, grants or policies; there are no quotas, so
 * only a fault throttles; a parameter that Bursar does not use is refused; a ciphertext of any other key is
 * InvalidCiphertextException; signatures are not checked.
 */
export async function startKms(options: { port?: number; stateFile?: string } = {}): Promise<KmsDouble> {
  const kept = { file: options.stateFile, schema, remedy: DELETE_FOLDER }
  const state = openState<Key>(kept, () => ({
    // `Local0001` marks values of the local stack, so that deployed code can refuse them.
    arn: `arn:aws:kms:us-east-1:000000000000:key/Local0001-${randomUUID()}`,
    secret: randomBytes(32).toString('hex'),
  }))
  let calls: Record<string, number> = {}

  const faults = operationFaults(OPERATIONS)

  const listener = await listen(async (request, response) => {
    const body = await readBody(request)
    const target = request.headers['x-amz-target']
    const operation = OPERATIONS.find((name) => target === `TrentService.${name}`)
    if (!operation) return send(response, refusal('UnknownOperationException', 'Encrypt or Decrypt.'))
    calls[operation] = (calls[operation] ?? 0) + 1
    const answer = await faults.serve(operation, {
      serve: async () => perform(state.value, operation, request.headers.authorization, body),
      refuse: (why) =>
        why === 'error'
          ? refusal(INTERNAL, 'A fault was asked for.')
          : refusal('ThrottlingException', 'You have exceeded the rate at which you may call KMS.'),
    })
    return answer ? send(response, answer) : cut(response)
  }, options.port)

  return {
    url: listener.url,
    keyId: state.value.arn,
    calls: () => ({ ...calls }),
    resetCalls: () => {
      calls = {}
    },
    addFault: faults.addFault,
    clearFaults: faults.clearFaults,
    close: () => {
      faults.close()
      return listener.close()
    },
  }
}

function perform(
  key: Key,
  operation: (typeof OPERATIONS)[number],
  authorization: string | undefined,
  body: Buffer,
): object {
  if (!authorization?.startsWith('AWS4-HMAC-SHA256 ')) {
    return refusal('MissingAuthenticationTokenException', 'Missing Authentication Token')
  }
  const input = parse(body)
  if (!input) return refusal('SerializationException', 'The body is not a JSON object.')
  return operation === 'Encrypt' ? encrypt(key, input) : decrypt(key, input)
}

function send(response: ServerResponse, body: object): void {
  const error = '__type' in body ? body.__type : undefined
  const status = error === undefined ? 200 : error === INTERNAL ? 500 : 400
  response.writeHead(status, { 'content-type': 'application/x-amz-json-1.1' }).end(JSON.stringify(body))
}

function refusal(type: string, message: string): Refusal {
  return { __type: type, message }
}

type Input = Record<string, unknown>

function parse(body: Buffer): Input | undefined {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'))
    return typeof value === 'object' && value !== null ? (value as Input) : undefined
  } catch {
    return undefined
  }
}

/** Makes the checks of both operations: known parameters, a blob of the right size, an existing key. */
function check(key: Key, input: Input, blob: string, maxBytes: number): Refusal | undefined {
  const stranger = Object.keys(input).find((name) => !['KeyId', 'EncryptionContext', blob].includes(name))
  if (stranger !== undefined) return refusal('SerializationException', `${stranger} is not supported.`)
  const bytes = decoded(input[blob]).length
  if (bytes < 1 || bytes > maxBytes) {
    return refusal('ValidationException', `${blob} must have a length from 1 to ${maxBytes}.`)
  }
  const context = input.EncryptionContext ?? {}
  if (Object.values(context).some((value) => typeof value !== 'string')) {
    return refusal('SerializationException', 'EncryptionContext must map strings to strings.')
  }
  if (input.KeyId !== key.arn && input.KeyId !== key.arn.split('/')[1]) {
    return refusal('NotFoundException', `Key '${String(input.KeyId)}' does not exist`)
  }
  return undefined
}

function decoded(value: unknown): Buffer {
  return Buffer.from(typeof value === 'string' ? value : '', 'base64')
}

/** The additional data for AES-GCM: the key's ARN and the encryption context in sorted order. */
function authenticated(key: Key, input: Input): Buffer {
  const pairs = Object.entries(input.EncryptionContext ?? {}).sort(([a], [b]) => (a < b ? -1 : 1))
  return Buffer.from(JSON.stringify([key.arn, pairs]))
}

function encrypt(key: Key, input: Input): object {
  const refused = check(key, input, 'Plaintext', 4096)
  if (refused) return refused
  const nonce = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', Buffer.from(key.secret, 'hex'), nonce)
  cipher.setAAD(authenticated(key, input))
  const ciphertext = [cipher.update(decoded(input.Plaintext)), cipher.final()]
  const blob = Buffer.concat([nonce, ...ciphertext, cipher.getAuthTag()])
  return {
    CiphertextBlob: blob.toString('base64'),
    KeyId: key.arn,
    EncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
  }
}

function decrypt(key: Key, input: Input): object {
  // If the request names no key, KMS finds the key in the ciphertext.
  const refused = check(key, { ...input, KeyId: input.KeyId ?? key.arn }, 'CiphertextBlob', 6144)
  if (refused) return refused
  const blob = decoded(input.CiphertextBlob)
  try {
    const nonce = blob.subarray(0, 12)
    const options = { authTagLength: 16 }
    const decipher = createDecipheriv('aes-256-gcm', Buffer.from(key.secret, 'hex'), nonce, options)
    decipher.setAAD(authenticated(key, input)).setAuthTag(blob.subarray(12).subarray(-16))
    const plaintext = Buffer.concat([decipher.update(blob.subarray(12, -16)), decipher.final()])
    return {
      Plaintext: plaintext.toString('base64'),
      KeyId: key.arn,
      EncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
    }
  } catch {
    return refusal('InvalidCiphertextException', 'The ciphertext is not one of this key and context.')
  }
}
