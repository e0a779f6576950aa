import { verifyAuthenticationResponse, verifyRegistrationResponse } from '@simplewebauthn/server'
import { decodeAttestationObject, decodeClientDataJSON, isoBase64URL } from '@simplewebauthn/server/helpers'
import { PASSKEY_ALGORITHMS } from '../credentials/passkey-shapes.ts'
import type { PasskeyAttestation, Passkeys } from '../ports.ts'

/**
 * `Passkeys` of the frontend at `appUrl`: its host is the relying party, and its origin the only one from which
 * answers are taken.
 */
export function webauthnPasskeys({ appUrl }: { appUrl: string }): Passkeys {
  const { origin, hostname } = new URL(appUrl)
  const expected = { expectedOrigin: origin, expectedRPID: hostname, requireUserVerification: true }
  return {
    verifyAttestation: (answer, expectedChallenge) =>
      undefinedIfRefused(async () => {
        requireTopLevel(answer.response.clientDataJSON)
        requireNoCertificate(answer)
        const { verified, registrationInfo } = await verifyRegistrationResponse({
          ...expected,
          response: { ...answer, clientExtensionResults: {} },
          expectedChallenge,
          supportedAlgorithmIDs: PASSKEY_ALGORITHMS,
        })
        if (!verified || registrationInfo.credential.id !== answer.id) return undefined
        const { credential, credentialDeviceType } = registrationInfo
        return {
          credentialId: credential.id,
          publicKey: isoBase64URL.fromBuffer(credential.publicKey),
          counter: credential.counter,
          synced: credentialDeviceType === 'multiDevice',
        }
      }),
    verifyAssertion: ({ response, ...answer }, expectedChallenge, stored) =>
      undefinedIfRefused(async () => {
        requireTopLevel(response.clientDataJSON)
        const { clientDataJSON, authenticatorData, signature } = response
        const { verified, authenticationInfo } = await verifyAuthenticationResponse({
          ...expected,
          response: {
            ...answer,
            response: { clientDataJSON, authenticatorData, signature },
            clientExtensionResults: {},
          },
          expectedChallenge,
          // With 0 the library leaves the counter to us: we compare it after the signature is known to be right.
          credential: { id: stored.credentialId, publicKey: bytesOf(stored.publicKey), counter: 0 },
        })
        if (!verified || answer.id !== stored.credentialId) return undefined
        const { newCounter, credentialDeviceType } = authenticationInfo
        return { counter: newCounter, synced: credentialDeviceType === 'multiDevice' }
      }),
  }
}

const bytesOf = (text: string) => isoBase64URL.toBuffer(text)

/** The library throws an Error for everything that is wrong with an answer, a malformed one included. */
async function undefinedIfRefused<T>(verify: () => Promise<T>): Promise<T | undefined> {
  try {
    return await verify()
  } catch {
    return undefined
  }
}

/** Refuses an answer that was given inside another site's page: the library allows it where the browser is old. */
function requireTopLevel(clientDataJson: string): void {
  if (decodeClientDataJSON(clientDataJson).crossOrigin)
    throw new Error('answered in a frame of another origin')
}

/**
 * Refuses attestation with a certificate. We ask for none, and to check one the library would load revocation lists
 * from addresses that the caller has written. A browser lets only an authenticator's signature of itself through.
 */
function requireNoCertificate({ response }: PasskeyAttestation): void {
  const attestation = decodeAttestationObject(bytesOf(response.attestationObject))
  const [format, statement] = [attestation.get('fmt'), attestation.get('attStmt')]
  const isSelfSigned = format === 'packed' && statement.get('x5c') === undefined
  if (format !== 'none' && !isSelfSigned) throw new Error('attested by a certificate')
}
