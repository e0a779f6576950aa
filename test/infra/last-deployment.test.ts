import { expect, test } from 'vitest'
import {
  lastDeploymentTags,
  mailDomainWarning,
  requireTable,
  unreadTags,
} from '../../functions/deploy/last-deployment.ts'
import { settingsOf } from '../../functions/deploy/settings.ts'
import { environmentFor } from './environment.ts'

const OWN = 'bursar-production'
const settings = (changes: Record<string, string> = {}) =>
  settingsOf('production', { ...environmentFor('production'), ...changes })
const restored = (table: string) =>
  settings({ TABLE: table, SESSIONS_SINCE: new Date(Date.now() - 60_000).toISOString() })

test('a deployment leaves its domain of mail and the table in use', () => {
  expect(lastDeploymentTags(settings(), OWN)).toEqual({ 'mail-domain': 'mail.acme.io', table: OWN })
  expect(lastDeploymentTags(restored('restored'), OWN)).toMatchObject({ table: 'restored' })
})

test('a restored table is not left by forgetting TABLE: only by naming another one', () => {
  const last = { table: 'restored' }
  expect(() => requireTable(last, settings(), OWN)).toThrow(
    /^TABLE is not set, .* Set TABLE=restored and SESSIONS_SINCE .* set TABLE=bursar-production and SESSIONS_SINCE/,
  )
  for (const table of ['restored', 'restored-again', OWN]) requireTable(last, restored(table), OWN)
  for (const known of [{}, { table: OWN }]) requireTable(known, settings(), OWN)
})

test('who changes the domain of mail learns whether mail goes on, and how to go back', () => {
  const last = { 'mail-domain': 'mail.old.io' }
  expect(mailDomainWarning(last, settings())).toMatch(
    /^The domain of MAIL_FROM changes from mail\.old\.io to mail\.acme\.io\. Nothing is mailed until .* going back to it needs MAIL_IDENTITY=existing\.$/,
  )
  const prepared = mailDomainWarning(last, settings({ MAIL_IDENTITY: 'existing' }))
  expect(prepared).toMatch(
    /Mail goes from mail\.acme\.io at once if SES has verified that domain, .*existing\.$/,
  )
  expect(prepared).not.toContain('mailDns')
  for (const same of [{}, { 'mail-domain': 'mail.acme.io' }])
    expect(mailDomainWarning(same, settings())).toBeUndefined()
})

test.each([
  ["Configuration Set Data Source (bursar-production): couldn't find resource", true],
  ['NotFoundException: Configuration set <bursar-production> does not exist.', true],
  ['the resource was not found', true],
  ['AccessDeniedException: not authorized to perform ses:GetConfigurationSet', false],
  ['TooManyRequestsException: Rate exceeded', false],
  ['lookup email.eu-west-1.amazonaws.com: no such host', false],
])('%s: a new stage is silent, and every other failure is told (%s)', (message, isNew) => {
  const told = unreadTags(new Error(message))
  if (isNew) expect(told).toBeUndefined()
  else expect(told).toContain(message)
})
