import * as z from 'zod/mini'
import { DomainError } from '../errors.ts'
import {
  addCredential,
  type CredentialKind,
  credentialMembers,
  listCredentials,
  type NamedCredential,
  revokeCredential,
} from '../keys/named-credentials.ts'
import type { Deps } from '../ports.ts'
import { expr } from '../table/expression.ts'
import { ConditionFailed } from '../table/table.ts'
import { ADMIN_KEY_TEXT, adminKeyLookup } from './admin-key-text.ts'
import { ROLES, type Role } from './operator.ts'
import { operatorNameKey } from './operator-name.ts'

/*
 * Admin keys: credentials with which programs act as operators, such as a back office that speaks EMCP's admin API.
 *
 * The name of a key is the operator in the audit log. So no account can become an operator of that name, and no key gets
 * the name of an account that is or was one.
 */

type AdminKeyDeps = Deps<'table' | 'keyring'>

/** An admin key as its list shows it. */
export interface AdminKey extends NamedCredential {
  role: Role
}

const adminKeySchema = z.object({ ...credentialMembers, role: z.enum(ROLES) })

const ADMIN_KEY: CredentialKind<AdminKey> = {
  text: ADMIN_KEY_TEXT,
  what: 'admin-key',
  list: 'ADMINKEYS',
  prefix: 'ADMINKEY#',
  lookupKey: adminKeyLookup,
  parse: (item) => z.parse(adminKeySchema, item),
}

/**
 * Makes an admin key, whose text cannot be read again later.
 * @param own.name in the form of `serviceName`
 * @throws DomainError `admin_key_exists` if the name belongs to a live key, or to an account that is or was an operator
 */
export async function addAdminKey(
  deps: AdminKeyDeps,
  { name, role, reason }: { name: string; role: Role; reason?: string },
): Promise<{ adminKey: AdminKey; credential: string }> {
  const audited = { action: 'operator.admin_key_added', reason, after: { adminKey: name, role } } as const
  const keepName = {
    put: { ...operatorNameKey(name), adminKey: true },
    if: expr`attribute_not_exists(pk) OR #adminKey = ${true}`,
  }
  try {
    const { added, credential } = await addCredential(deps, ADMIN_KEY, { name, role }, audited, [keepName])
    return { adminKey: added, credential }
  } catch (error) {
    if (!(error instanceof ConditionFailed)) throw error
    throw new DomainError('admin_key_exists', {
      detail: `A live admin key, or an account that is or was an operator, has the name ${name}. Choose another name, such as ${name}-2.`,
    })
  }
}

/** All admin keys, those that were revoked too, by name. */
export const listAdminKeys = (deps: Deps<'table'>): Promise<AdminKey[]> => listCredentials(deps, ADMIN_KEY)

/**
 * Revokes an admin key for good. Requests with it are refused within `REMEMBERED_MS`.
 * @returns the key; one that was revoked before is returned as it is
 * @throws DomainError `not_found` for an unknown name
 */
export async function revokeAdminKey(deps: AdminKeyDeps, name: string, reason?: string): Promise<AdminKey> {
  const audited = { action: 'operator.admin_key_revoked', reason, before: { adminKey: name } } as const
  const key = await revokeCredential(deps, ADMIN_KEY, name, audited)
  if (!key) throw new DomainError('not_found', { detail: 'There is no admin key of this name.' })
  return key
}
