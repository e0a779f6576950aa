import {
  type Account,
  displayName,
  type Profile,
  readAccount,
  type SessionCaller,
} from '../account/account.ts'
import { changeSession } from '../account/change.ts'
import { DomainError } from '../errors.ts'
import { announce } from '../events/outbox.ts'
import { tellOwner } from '../notifications/security.ts'
import type { Deps, PasskeyAttestation } from '../ports.ts'
import { attr, expr, join, setRemove } from '../table/expression.ts'
import { keys } from '../table/keys.ts'
import { digestOf } from '../table/request-key.ts'
import { ConditionFailed } from '../table/table.ts'
import { changeHolder } from './holder.ts'
import {
  ASSERTION,
  attestationOf,
  CHALLENGE_MS,
  newChallenge,
  type OpenChallenge,
  openChallenge,
} from './passkey-challenge.ts'
import { PASSKEY_ALGORITHMS } from './passkey-shapes.ts'

type PasskeyDeps = Deps<'table' | 'keyring' | 'passkeys'>

/** They lie in the profile, which every request reads: ten of usual size are 3 KB. */
const MAX_PASSKEYS = 10

type StoredPasskey = NonNullable<Profile['passkeys']>[string]

/** The passkey of this id, which may come from a path; undefined if the account has none. */
export const passkeyOf = ({ passkeys = {} }: Profile, id: string): StoredPasskey | undefined =>
  Object.hasOwn(passkeys, id) ? passkeys[id] : undefined

/** A passkey as its owner sees it. */
export interface ListedPasskey
  extends Pick<StoredPasskey, 'name' | 'credentialId' | 'synced' | 'createdAtMs'> {
  id: string
  lastUsedAtMs: number | undefined
}

/** The id of a passkey: short, and safe in a path, whatever the authenticator has chosen. */
export const passkeyId = (credentialId: string): string => digestOf(credentialId)

const listed = (id: string, passkey: StoredPasskey): ListedPasskey => ({
  id,
  name: passkey.name,
  credentialId: passkey.credentialId,
  synced: passkey.synced,
  createdAtMs: passkey.createdAtMs,
  lastUsedAtMs: passkey.lastUsedAtMs,
})

/** The account's passkeys, oldest first. */
export const listPasskeys = ({ passkeys = {} }: Profile): ListedPasskey[] =>
  Object.entries(passkeys)
    .map(([id, passkey]) => listed(id, passkey))
    .sort((a, b) => a.createdAtMs - b.createdAtMs)

/** What a browser needs to ask for any passkey of this service. It says nothing about any account. */
export const assertionOptions = (deps: Deps<'keyring' | 'relyingParty'>) => ({
  challenge: newChallenge(deps, ASSERTION),
  rpId: deps.relyingParty.id,
  timeout: CHALLENGE_MS,
  userVerification: 'required' as const,
  allowCredentials: [],
})

/**
 * What a browser needs to make a passkey for this account, in the JSON form of WebAuthn. Nothing is stored. The
 * user's id is the account id, by which a later sign-in finds the account without a name.
 * @throws DomainError `passkey_limit_reached`
 */
export function attestationOptions(deps: Deps<'keyring' | 'relyingParty'>, account: Account) {
  requireRoom(account)
  const { id, name } = deps.relyingParty
  return {
    challenge: newChallenge(deps, attestationOf(account.id)),
    rp: { id, name },
    user: {
      id: Buffer.from(account.id).toString('base64url'),
      name: account.email,
      displayName: displayName(account),
    },
    pubKeyCredParams: PASSKEY_ALGORITHMS.map((alg) => ({ alg, type: 'public-key' as const })),
    timeout: CHALLENGE_MS,
    excludeCredentials: listPasskeys(account).map(({ credentialId }) => ({
      id: credentialId,
      type: 'public-key' as const,
    })),
    authenticatorSelection: {
      residentKey: 'required' as const,
      requireResidentKey: true,
      userVerification: 'required' as const,
    },
    attestation: 'none' as const,
  }
}

/** @throws DomainError `passkey_limit_reached` */
function requireRoom({ passkeys = {} }: Profile): void {
  if (Object.keys(passkeys).length >= MAX_PASSKEYS) throw new DomainError('passkey_limit_reached')
}

/**
 * Adds a passkey that the browser has made. Every session but the caller's ends. A repeat of the request gets the
 * passkey that it has added.
 *
 * Ids of credentials need not be unique over all accounts: a sign-in names its account, and finds the key among
 * that account's own.
 * @throws DomainError `invalid_passkey`, `passkey_limit_reached`, `conflict`
 */
export async function addPasskey(
  deps: PasskeyDeps,
  caller: SessionCaller,
  { name, answer }: { name: string; answer: PasskeyAttestation },
): Promise<ListedPasskey> {
  const { id: accountId } = caller.account
  const challenge = openChallenge(deps, attestationOf(accountId), answer.response.clientDataJSON)
  const made = challenge && (await deps.passkeys.verifyAttestation(answer, challenge.text))
  if (!challenge || !made) throw new DomainError('invalid_passkey')
  const id = passkeyId(made.credentialId)
  const passkey: StoredPasskey = {
    ...made,
    name,
    createdAtMs: deps.clock.nowMs(),
    madeBy: challenge.id,
  }
  return changeSession(deps, caller, async ({ account, sessionId }) => {
    const known = passkeyOf(account, id)
    if (known) return repeatOf(id, known, challenge)
    requireRoom(account)
    try {
      await storePasskey(deps, { account, sessionId }, id, passkey, challenge)
    } catch (error) {
      // Another try fails alike if the challenge is answered, unless a concurrent copy of this request was first.
      if (!(error instanceof ConditionFailed) || error.failed.has(0)) throw error
      const now = await readAccount(deps, accountId)
      const added = now && passkeyOf(now, id)
      if (!added) throw new DomainError('invalid_passkey')
      return repeatOf(id, added, challenge)
    }
    return listed(id, passkey)
  })
}

/** @throws DomainError `invalid_passkey` if another request has added the passkey */
function repeatOf(id: string, known: StoredPasskey, challenge: OpenChallenge): ListedPasskey {
  if (known.madeBy !== challenge.id) throw new DomainError('invalid_passkey')
  return listed(id, known)
}

async function storePasskey(
  deps: PasskeyDeps,
  { account, sessionId }: SessionCaller,
  id: string,
  passkey: StoredPasskey,
  challenge: OpenChallenge,
): Promise<void> {
  const { set, remove, unchanged } = changeHolder(account, { sessionId })
  const added = account.passkeys
    ? expr`#passkeys.${attr(id)} = ${passkey}`
    : expr`#passkeys = ${{ [id]: passkey }}`
  // The generation grows with every passkey, so two requests at once cannot both take the last place.
  const condition = join(
    [
      expr`#generation = ${account.generation} AND #status = ${'active'}`,
      account.passkeys ? expr`attribute_exists(#passkeys)` : expr`attribute_not_exists(#passkeys)`,
      ...unchanged,
    ],
    ' AND ',
  )
  await deps.table.transact([
    { update: keys.profile(account.id), set: setRemove([...set, added], remove), if: condition },
    challenge.spend,
    ...tellOwner(deps, account, 'passkey-added'),
  ])
}

/** Renames a passkey. @throws DomainError `not_found`, `conflict` */
export async function renamePasskey(
  deps: Deps<'table'>,
  caller: SessionCaller,
  id: string,
  name: string,
): Promise<ListedPasskey> {
  return changeSession(deps, caller, async ({ account }) => {
    const passkey = passkeyOf(account, id)
    if (!passkey) throw new DomainError('not_found')
    await deps.table.update(
      keys.profile(account.id),
      expr`SET #passkeys.${attr(id)}.#name = ${name}`,
      expr`attribute_exists(#passkeys.${attr(id)})`,
    )
    return listed(id, { ...passkey, name })
  })
}

/**
 * Removes a passkey. Every session but the caller's ends. A repeat for the passkey removed last is no error.
 * @throws DomainError `not_found`, `conflict`
 */
export async function removePasskey(deps: Deps<'table'>, caller: SessionCaller, id: string): Promise<void> {
  await changeSession(deps, caller, async ({ account, sessionId }) => {
    if (!passkeyOf(account, id)) {
      if (account.removedPasskey === id) return
      throw new DomainError('not_found')
    }
    const { set, remove, unchanged } = changeHolder(account, { sessionId })
    const passkey = expr`#passkeys.${attr(id)}`
    await deps.table.transact([
      {
        update: keys.profile(account.id),
        set: setRemove([...set, expr`#removedPasskey = ${id}`], [...remove, passkey]),
        if: join([expr`attribute_exists(#passkeys.${attr(id)})`, ...unchanged], ' AND '),
      },
      ...tellOwner(deps, account, 'passkey-removed'),
      announce(deps, account.id, 'account.access_changed', { what: 'passkey-removed', passkeyId: id }),
    ])
  })
}
