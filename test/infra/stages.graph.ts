import { describe, expect, test } from 'vitest'
import { CUSTOM_DOMAIN } from './environment.ts'
import { graphOf } from './graph.ts'
import { rules } from './rules.ts'

/**
 * A stage as most are, one with a domain of its own, one that may be removed, was restored, is closed at the API's own address
 * and gets another domain of mail, and one without pages that stands by, whose domain of mail another stage has set up.
 */
const stages: [string, Record<string, string>][] = [
  ['dev-ada', {}],
  ['production', { ...CUSTOM_DOMAIN, MONTHLY_BUDGET: '200' }],
  [
    'production',
    {
      PROTECTION: 'off',
      TABLE: 'bursar-restored-2026-11-21',
      SESSIONS_SINCE: '2026-11-21T12:00:00Z',
      API_ADDRESS: 'closed',
      DEPLOYED_TAGS: '{"mail-domain":"mail.old.example","table":"bursar-production"}',
    },
  ],
  [
    'no-pages',
    {
      ...CUSTOM_DOMAIN,
      PAGES: 'off',
      MAIL_IDENTITY: 'existing',
      STANDBY: 'on',
      DEPLOYED_TAGS: 'AccessDenied',
    },
  ],
]

describe.each(stages)('stage %s with %j', async (stage, environment) => {
  const graph = await graphOf({ stage, environment })

  test.each(Object.entries(rules))('%s', async (_, rule) => {
    expect(await rule(graph)).toEqual([])
  })

  test('its operator is warned of another domain of mail, of tags that could not be read, and of nothing else', () => {
    const { DEPLOYED_TAGS = '' } = environment
    const warning = DEPLOYED_TAGS.includes('mail.old')
      ? expect.stringMatching(/^The domain of MAIL_FROM changes from mail\.old\.example to /)
      : DEPLOYED_TAGS && expect.stringMatching(/^The tags .* could not be read, .*AccessDenied$/)
    expect(graph.outputs.warning).toEqual(warning || undefined)
  })
})

/**
 * A mistake of each check, its stage, and the expected error. Nothing may be created before the check passes; what else it
 * finds is in `settings.test.ts`.
 */
const refused: [string, Parameters<typeof graphOf>[0], RegExp][] = [
  ['sst dev', { stage: 'dev-ada', dev: true }, /^sst dev would grant .* Use npm run dev\.$/],
  ['a missing sender', { stage: 'dev-ada', environment: { MAIL_FROM: '' } }, /^MAIL_FROM is not set\. /],
  [
    'a missing secret',
    { stage: 'production', environment: { SST_SECRET_RootSecret: '' } },
    /^RootSecret is not set\. Set it: npm run sst -- secret set RootSecret --stage production$/,
  ],
  [
    'the way back to a table that a backup replaced',
    { stage: 'production', environment: { DEPLOYED_TAGS: '{"table":"bursar-restored"}' } },
    /^TABLE is not set, but this stage uses bursar-restored, .* Set TABLE=bursar-restored and SESSIONS_SINCE /,
  ],
]

test.each(refused)(
  '%s stops the deployment with a sentence before anything is created',
  async (_, variant, sentence) => {
    const { errors, resources } = await graphOf(variant)
    expect(errors).toEqual([expect.stringMatching(sentence)])
    expect(resources.filter(({ custom }) => custom)).toEqual([])
  },
)
