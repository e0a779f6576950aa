import { DomainError } from '../errors.ts'
import type { Deps } from '../ports.ts'
import { type AccountPage, readAccountPage } from './account-page.ts'
import { findAccountIds } from './look-up.ts'

/**
 * Finds an account by what a customer names (`findAccountIds`), and reads its page.
 * @returns `alike`, the ids of further accounts that the text names.
 * @throws DomainError `not_found` if it names none
 */
export async function findAccount(
  deps: Deps<'table' | 'listing'>,
  text: string,
): Promise<{ page: AccountPage; alike: string[] }> {
  const [first, ...alike] = await findAccountIds(deps, text)
  const page = first === undefined ? undefined : await readAccountPage(deps, first)
  if (!page) throw new DomainError('not_found')
  return { page, alike }
}
