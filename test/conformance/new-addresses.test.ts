import { expect, test } from 'vitest'
import { safeParse } from 'zod/v4/core'
import { rows } from '../../functions/http/rows.ts'
import { rowKey } from '../support/samples.ts'
import { jsonSchema } from './contract.ts'

/** Rows that look an address up. Any other row gives an account the address, and an import brings confirmed ones. */
const LOOKS_UP = ['v1.resend', 'v1.requestPasswordReset', 'v1.requestRecovery', 'v1.login', 'api.restore']

/** It may bring the present address, which is compared first: `test/rest/update-user.test.ts`. */
const COMPARES_FIRST = 'rest.updateUser'

const issueOf = (row: (typeof rows)[number], email: string): string | undefined => {
  const issues = row.body && safeParse(row.body, { email }).error?.issues
  return issues?.find(({ path }) => path.join() === 'email')?.message
}

test('no account gets an address to which no mail can go: the request is refused at the edge, and says why', () => {
  const given = rows.filter(({ body }) => body && 'email' in (jsonSchema(body, 'input').properties ?? {}))
  const refusing = given.filter((row) => issueOf(row, 'zoë@mail.example') !== undefined)
  expect(given.map(rowKey).toSorted()).toEqual(
    [...refusing.map(rowKey), ...LOOKS_UP, COMPARES_FIRST].toSorted(),
  )
  expect(refusing.length).toBeGreaterThan(2)
  for (const row of refusing) {
    expect(issueOf(row, 'zoë@mail.example')).toContain('no mail can be sent there')
    expect(issueOf(row, 'zoe@bücher.example')).toBeUndefined()
  }
})
