/** Passkeys as the API and the browser exchange them: JSON with base64url texts (WebAuthn level 3). */

export const canUsePasskeys: boolean =
  typeof PublicKeyCredential === 'function' &&
  typeof PublicKeyCredential.parseRequestOptionsFromJSON === 'function'

const only = (credential: Credential | null): PublicKeyCredential => {
  if (!(credential instanceof PublicKeyCredential)) throw new Error('The browser gave no passkey.')
  return credential
}

/** Lets a device sign a challenge. @throws DOMException `NotAllowedError` if the person cancels */
export async function signWithPasskey(options: object) {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(
    options as PublicKeyCredentialRequestOptionsJSON,
  )
  const { id, rawId, type, response } = only(await navigator.credentials.get({ publicKey })).toJSON()
  const { clientDataJSON, authenticatorData, signature, userHandle } =
    response as AuthenticatorAssertionResponseJSON
  return {
    id,
    rawId,
    type: type as 'public-key',
    response: { clientDataJSON, authenticatorData, signature, ...(userHandle && { userHandle }) },
  }
}

/** Lets a device make a passkey. @throws DOMException `NotAllowedError` if the person cancels */
export async function makePasskey(options: object) {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(
    options as PublicKeyCredentialCreationOptionsJSON,
  )
  const { id, rawId, type, response } = only(await navigator.credentials.create({ publicKey })).toJSON()
  const { clientDataJSON, attestationObject } = response as AuthenticatorAttestationResponseJSON
  return { id, rawId, type: type as 'public-key', response: { clientDataJSON, attestationObject } }
}
