import { DomainError } from '../errors.ts'
import { credentialFinder } from '../keys/credential-cache.ts'
import type { Deps } from '../ports.ts'
import { stored } from '../table/stored.ts'
import { ADMIN_KEY_TEXT, adminKeyLookup } from './admin-key-text.ts'
import { mayAct, type Operator, ROLES, type Role } from './operator.ts'

const find = credentialFinder(ADMIN_KEY_TEXT, adminKeyLookup, (item): Operator => {
  const text = stored(item, 'role', 'string')
  const role = ROLES.find((each) => each === text)
  if (!role) throw new Error('an admin key has a role that there is not')
  return { name: stored(item, 'name', 'string'), role }
})

/**
 * The operator whose admin key has come with a request.
 * @throws DomainError `admin_key_refused` for a key that is unknown or was revoked, `operator_refused` for one of a lower
 *   role, `temporarily_unavailable`
 */
export async function operatorByAdminKey(
  deps: Deps<'table' | 'keyring'>,
  credential: string,
  needed: Role,
): Promise<Operator> {
  const operator = await find(deps, credential)
  if (!operator) throw new DomainError('admin_key_refused')
  if (!mayAct(operator.role, needed))
    throw new DomainError('operator_refused', { detail: 'The role of the admin key does not permit this.' })
  return operator
}
