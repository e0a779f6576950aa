import { describe, expect, test } from 'vitest'
import { checkSecrets, regionOf, settingsOf } from '../../functions/deploy/settings.ts'
import { startStack } from '../local/stack.ts'
import { CUSTOM_DOMAIN, environmentFor } from './environment.ts'

const settings = (changes: Record<string, string | undefined> = {}, stage = 'production') =>
  settingsOf(stage, { ...environmentFor(stage), ...changes })
const secrets = (changes: Record<string, string | undefined> = {}, stage = 'production') =>
  checkSecrets(settings({}, stage), { ...environmentFor(stage), ...changes })

describe('settings', () => {
  test('are read once, in the form in which they are used', () => {
    expect(settings()).toEqual({
      stage: 'production',
      production: true,
      protected: true,
      appName: 'Acme',
      mailFrom: '"Acme, Inc." <no-reply@mail.acme.io>',
      mailAddress: 'no-reply@mail.acme.io',
      mailDomain: 'mail.acme.io',
      createMailIdentity: true,
      appUrl: 'https://app.acme.io',
      alarmEmail: 'ops@acme.io',
      monthlyBudget: undefined,
      allowedOrigins: ['https://app.acme.io', 'https://admin.acme.io'],
      publishableKey: 'pk_live_51NotReal',
      pageSettings: '{"supportEmail":"no-reply@mail.acme.io"}',
      logoUrl: undefined,
      challengeKey: undefined,
      restoredTable: undefined,
      sessionsSince: undefined,
      site: { isApiOpen: true },
      standby: false,
    })
  })

  test('have a stage stand by, if its operator says so', () => {
    expect(settings({ STANDBY: 'on' }).standby).toBe(true)
    expect(settings({ STANDBY: ' off ' }).standby).toBe(false)
    expect(() => settings({ STANDBY: 'yes' })).toThrow(/^STANDBY must be "on" or "off"\.$/)
  })

  test('pin the region, if it is set', () => {
    expect(regionOf({ REGION: 'eu-west-1' })).toEqual({ region: 'eu-west-1' })
    expect(regionOf({})).toEqual({})
    expect(() => regionOf({ REGION: 'Ireland' })).toThrow(/^REGION is "Ireland"\. Set the name of a region/)
  })

  test('of a restore go together: a restored table needs the time before which every session is over', () => {
    const SESSIONS_SINCE = '2026-11-21T12:00:00Z'
    const restored = { TABLE: 'bursar-production-2026-11-21', SESSIONS_SINCE }
    expect(settings(restored)).toMatchObject({ restoredTable: restored.TABLE, sessionsSince: SESSIONS_SINCE })
    expect(settings({ SESSIONS_SINCE })).toMatchObject({ restoredTable: undefined })
    const wrong: [Record<string, string>, RegExp][] = [
      [{ TABLE: restored.TABLE }, /^TABLE is set, so set SESSIONS_SINCE to the time of the restore/],
      [{ TABLE: 'arn:aws:dynamodb:table', SESSIONS_SINCE }, /^TABLE must be the name of a table/],
      [{ SESSIONS_SINCE: '2026-11-21' }, /^SESSIONS_SINCE must be a time in UTC/],
      [{ SESSIONS_SINCE: '2026-13-21T12:00:00Z' }, /^SESSIONS_SINCE must be a time in UTC/],
      [{ SESSIONS_SINCE: '2996-11-21T12:00:00Z' }, /^SESSIONS_SINCE has not come yet/],
    ]
    for (const [changes, message] of wrong) expect(() => settings(changes)).toThrow(message)
  })

  test('put pages and API behind a domain of the operator’s own, which mails then link to', () => {
    const own = settings({ ...CUSTOM_DOMAIN, APP_URL: undefined })
    expect(own).toMatchObject({
      appUrl: 'https://account.acme.io',
      site: {
        domain: { name: 'account.acme.io', certificate: CUSTOM_DOMAIN.PAGES_CERTIFICATE },
        webAcl: CUSTOM_DOMAIN.WEB_ACL,
        isApiOpen: true,
      },
    })
    expect(settings(CUSTOM_DOMAIN).appUrl).toBe('https://app.acme.io')
  })

  test('switch pages off with one setting, whatever else is set for them', () => {
    expect(settings({ ...CUSTOM_DOMAIN, PAGES: 'off' }).site).toBeUndefined()
    expect(() => settings({ ...CUSTOM_DOMAIN, PAGES: 'off', APP_URL: undefined })).toThrow(
      /^APP_URL is not set/,
    )
  })

  test('close the API at its own address', () => {
    expect(settings({ API_ADDRESS: 'closed' }).site).toEqual({ isApiOpen: false })
  })

  test('an operator’s mistake about the domain of pages stops the deployment', () => {
    const { PAGES_CERTIFICATE, PAGES_DOMAIN, WEB_ACL } = CUSTOM_DOMAIN
    const wrong: [Record<string, string>, RegExp][] = [
      [{ API_ADDRESS: 'off' }, /^API_ADDRESS must be "open" or "closed"\.$/],
      [{ API_ADDRESS: 'closed', PAGES: 'off' }, /^API_ADDRESS=closed needs the distribution/],
      [{ PAGES: 'no' }, /^PAGES must be "on" or "off"\.$/],
      [
        { PAGES_DOMAIN },
        /^PAGES_DOMAIN needs PAGES_CERTIFICATE: the ARN of a certificate for account\.acme\.io/,
      ],
      [{ PAGES_CERTIFICATE }, /^PAGES_CERTIFICATE is set without PAGES_DOMAIN\./],
      [
        { PAGES_DOMAIN, PAGES_CERTIFICATE: PAGES_CERTIFICATE.replace('us-east-1', 'eu-west-1') },
        /in ACM's region us-east-1, .* CloudFront takes none of another region\.$/,
      ],
      ...[
        'https://account.acme.io',
        'account.acme.io/',
        'Account.acme.io',
        'acme',
        'account.example.com',
        '*.acme.io',
      ].map((name): [Record<string, string>, RegExp] => [
        { PAGES_DOMAIN: name, PAGES_CERTIFICATE },
        /^PAGES_DOMAIN is ".*"\. Set a host name alone/,
      ]),
      ...[WEB_ACL.replace('global', 'regional'), WEB_ACL.replace('us-east-1', 'eu-west-1'), 'acme'].map(
        (acl): [Record<string, string>, RegExp] => [
          { WEB_ACL: acl },
          /^WEB_ACL must be the ARN of a web ACL/,
        ],
      ),
    ]
    for (const [changes, sentence] of wrong)
      expect(() => settings(changes), JSON.stringify(changes)).toThrow(sentence)
  })

  test('say how pages look and where they lead, in forms that end no text of HTML or CSS', () => {
    const pages = settings({
      SUPPORT_EMAIL: 'help@bücher.de',
      APP_COLOR: '#0A5Cff',
      APP_LOGO_URL: 'https://cdn.acme.io/logo-2.svg?v=3',
      TERMS_URL: 'https://acme.io/terms#short',
      PRIVACY_URL: ' ',
    }).pageSettings
    expect(JSON.parse(pages)).toEqual({
      supportEmail: 'help@xn--bcher-kva.de',
      color: '#0a5cff',
      logoUrl: 'https://cdn.acme.io/logo-2.svg?v=3',
      termsUrl: 'https://acme.io/terms#short',
    })
  })

  test('ask nobody for an answer to a challenge unless a widget is named, whose secret must then be set', () => {
    const TURNSTILE_SITE_KEY = '0x4AAAAAAAnotReal'
    expect(settings({ TURNSTILE_SITE_KEY }).challengeKey).toBe(TURNSTILE_SITE_KEY)
    expect(JSON.parse(settings({ TURNSTILE_SITE_KEY }).pageSettings).challengeKey).toBe(TURNSTILE_SITE_KEY)
    expect(() => settings({ TURNSTILE_SITE_KEY: 'a key' })).toThrow(/^TURNSTILE_SITE_KEY is no site key/)
    const check = (secret: Record<string, string>) =>
      checkSecrets(settings({ TURNSTILE_SITE_KEY }), { ...environmentFor('production'), ...secret })
    expect(() => check({})).toThrow(/^TurnstileSecretKey is not set\. Set it: npm run sst -- secret set/)
    expect(() => check({ SST_SECRET_TurnstileSecretKey: 'no' })).toThrow(
      /^TurnstileSecretKey must be the secret key/,
    )
    check({ SST_SECRET_TurnstileSecretKey: '0x4AAAAAAAnotRealEither' })
  })

  test('allow no origin unless one is named', () => {
    expect(settings({ ALLOWED_ORIGINS: undefined }).allowedOrigins).toEqual([])
    expect(settings({ ALLOWED_ORIGINS: ' ' }).allowedOrigins).toEqual([])
  })

  test('a sender without a name gets the name of the app, which is Bursar unless another is set', () => {
    expect(settings({ MAIL_FROM: 'no-reply@acme.io' }).mailFrom).toBe('Acme <no-reply@acme.io>')
    const unnamed = settings({ MAIL_FROM: '<no-reply@acme.io>', APP_NAME: ' ' })
    expect(unnamed).toMatchObject({ appName: 'Bursar', mailFrom: 'Bursar <no-reply@acme.io>' })
  })

  test('the sender’s identity and permission are those of its address in ASCII', () => {
    expect(settings({ MAIL_FROM: 'Bücher GmbH <No-Reply@BÜCHER.de>' })).toMatchObject({
      mailFrom: '=?UTF-8?B?QsO8Y2hlciBHbWJI?= <No-Reply@xn--bcher-kva.de>',
      mailAddress: 'No-Reply@xn--bcher-kva.de',
      mailDomain: 'xn--bcher-kva.de',
    })
  })

  test('may name a developer’s own machine, except in production', () => {
    const local = { ALLOWED_ORIGINS: 'http://localhost:5173', APP_URL: 'http://localhost:5173/' }
    expect(settings(local, 'dev-ada')).toMatchObject({
      allowedOrigins: ['http://localhost:5173'],
      appUrl: 'http://localhost:5173',
    })
    expect(() => settings(local)).toThrow(/^APP_URL is "http:\/\/localhost:5173\/"\./)
  })

  const refused: [string, Record<string, string | undefined>, RegExp][] = [
    ['no sender', { MAIL_FROM: undefined }, /^MAIL_FROM is not set\. It is the sender of mails/],
    [
      'a sender without an address',
      { MAIL_FROM: 'Acme' },
      /^MAIL_FROM has no valid e-mail address\. Set one/,
    ],
    [
      'a sender on two lines',
      { MAIL_FROM: 'Acme\r\nBcc: eve@evil.io <no-reply@acme.io>' },
      /^MAIL_FROM has a line break or a control character\. Write it on one line\.$/,
    ],
    [
      'a sender with an encoded line break',
      { MAIL_FROM: '=?UTF-8?Q?Acme=0D=0ABcc=3A?= <no-reply@acme.io>' },
      /^MAIL_FROM has a line break or a control character in its name\./,
    ],
    ['a long name', { MAIL_FROM: `${'n'.repeat(101)} <no-reply@acme.io>` }, /^MAIL_FROM has a name of more/],
    ...[
      'Acme <>',
      'Acme <no-reply@acme.io',
      'Acme no-reply@acme.io',
      'no-reply@acme.io, other@acme.io',
      'no-reply@acme.io,other@acme.io',
      'no-reply,other@acme.io',
      'Acme <no-reply@acme.io> (Acme)',
      'Acme <no-reply@acme.io>, Other <other@acme.io> x',
      'bücher@acme.io',
      '.no-reply@acme.io',
      'no..reply@acme.io',
      '"no reply"@acme.io',
      `${'n'.repeat(65)}@acme.io`,
      'no-reply@acme',
      'no-reply@-acme.io',
      'no-reply@acme.io.',
      'no-reply@10.0.0.1',
      'no-reply@[10.0.0.1]',
      'no-reply@%61cme.io',
    ].map((sender): [string, Record<string, string>, RegExp] => [
      `the sender ${sender.slice(0, 40)}`,
      { MAIL_FROM: sender },
      /^MAIL_FROM has no valid e-mail address\. Set one/,
    ]),
    [
      'a name with a colon',
      { APP_NAME: 'Acme: API' },
      /^APP_NAME must be 1 to 40 characters .* without a colon\./,
    ],
    ['a name on two lines', { APP_NAME: 'Acme\nAPI' }, /^APP_NAME must be 1 to 40 characters on one line/],
    ['a name of 41 characters', { APP_NAME: '🚲'.repeat(41) }, /^APP_NAME must be 1 to 40 characters/],
    [
      'a budget in cents',
      { MONTHLY_BUDGET: '19.99' },
      /^MONTHLY_BUDGET must be a whole number of US dollars/,
    ],
    ['a budget of nothing', { MONTHLY_BUDGET: '0' }, /^MONTHLY_BUDGET must be a whole number/],
    ['two addresses for alarms', { ALARM_EMAIL: 'a@acme.io,b@acme.io' }, /^ALARM_EMAIL has no valid/],
    ['a name before the alarms’ address', { ALARM_EMAIL: 'Ops <a@acme.io>' }, /^ALARM_EMAIL has no valid/],
    [
      'a frontend with a query',
      { APP_URL: 'https://app.acme.io/?a=1' },
      /^APP_URL is .* nothing behind it\.$/,
    ],
    [
      'a frontend with an empty query',
      { APP_URL: 'https://app.acme.io/?' },
      /^APP_URL is .* nothing behind it\.$/,
    ],
    [
      'a frontend with a fragment',
      { APP_URL: 'https://app.acme.io/#' },
      /^APP_URL is .* nothing behind it\.$/,
    ],
    ['a frontend with a password', { APP_URL: 'https://:pw@app.acme.io' }, /^APP_URL is .* must be https:/],
    ['a frontend on two lines', { APP_URL: 'https://app.ac\nme.io' }, /^APP_URL is .* must be https:/],
    ['a frontend without a domain', { APP_URL: 'https://app' }, /^APP_URL is .* must be https:/],
    [
      'the local frontend with a dot',
      { APP_URL: 'https://app.bursar.example.' },
      /^APP_URL is .* must be https:/,
    ],
    [
      'the local sender',
      { MAIL_FROM: 'Bursar <no-reply@bursar.example>' },
      /^MAIL_FROM .* no mail arrives\. Use a real domain\.$/,
    ],
    [
      'a sender at example.com',
      { MAIL_FROM: 'no-reply@mail.example.com' },
      /^MAIL_FROM .* no mail arrives\. Use a real domain\.$/,
    ],
    ['no publishable key', { STRIPE_PUBLISHABLE_KEY: '' }, /^STRIPE_PUBLISHABLE_KEY is not set\. It is the/],
    ...[
      ['sk_live_51NotReal', 'a secret key'],
      ['rk_live_51NotReal', 'a restricted key'],
      ['whsec_51NotReal', 'the signing secret of a webhook endpoint'],
      ['pk_test_51NotReal', 'a key of the test mode'],
      ['pk_live_', 'nothing that Stripe gives out'],
      ['pk_live_51"NotReal', 'nothing that Stripe gives out'],
    ].map(([key = '', is]): [string, Record<string, string>, RegExp] => [
      `the publishable key ${key}`,
      { STRIPE_PUBLISHABLE_KEY: key },
      new RegExp(
        `^STRIPE_PUBLISHABLE_KEY is ${is}\\. Set the publishable key of the Stripe account, pk_live_…\\.$`,
      ),
    ]),
    [
      'support at no domain',
      { SUPPORT_EMAIL: 'help' },
      /^SUPPORT_EMAIL has no valid e-mail address\. Set one/,
    ],
    [
      'support at example.com',
      { SUPPORT_EMAIL: 'a@example.com' },
      /^SUPPORT_EMAIL has an address at example\.com/,
    ],
    ...['red', '#fff', '#0a5cff;}', 'url(x)', '#0a5cfg', 'var(--x)'].map(
      (color): [string, Record<string, string>, RegExp] => [
        `the colour ${color}`,
        { APP_COLOR: color },
        /^APP_COLOR is no colour in six hex digits\. Set one such as "#0a5cff"/,
      ],
    ),
    ...['APP_LOGO_URL', 'TERMS_URL', 'PRIVACY_URL'].flatMap((name) =>
      [
        'http://acme.io/x',
        'javascript:alert(1)',
        'data:image/svg+xml,<svg/>',
        '//acme.io/x',
        'https://acme.io/x.svg)',
        'https://acme.io/x"y',
        "https://acme.io/x'y",
        'https://acme.io/<script>',
        'https://acme.io/x y',
        'https://acme.io/x\ny',
        'https://acme.io/x\\y',
        'https://acme.io/x;y',
        'https://user@acme.io/',
        'https://',
      ].map((link): [string, Record<string, string>, RegExp] => [
        `the ${name} ${JSON.stringify(link)}`,
        { [name]: link },
        new RegExp(`^${name} must be https://your\\.domain`),
      ]),
    ),
    ['no frontend', { APP_URL: '' }, /^APP_URL is not set\./],
    ['the local frontend', { APP_URL: 'https://app.bursar.example' }, /^APP_URL is .* must be https:/],
    ['a frontend without TLS', { APP_URL: 'http://app.acme.io' }, /^APP_URL is .* must be https:/],
    ['a script as frontend', { APP_URL: 'javascript:alert(1)' }, /^APP_URL is .* must be https:/],
    ['no address for alarms', { ALARM_EMAIL: undefined }, /^ALARM_EMAIL is not set\. It is where alarms go/],
    ['any origin', { ALLOWED_ORIGINS: '*' }, /^ALLOWED_ORIGINS has "\*"\./],
    ['origins by pattern', { ALLOWED_ORIGINS: 'https://*.acme.io' }, /^ALLOWED_ORIGINS has /],
    ['the null origin', { ALLOWED_ORIGINS: 'null' }, /^ALLOWED_ORIGINS has /],
    [
      'an origin with a path',
      { ALLOWED_ORIGINS: 'https://acme.io/' },
      /^ALLOWED_ORIGINS has .* Write it as browsers send it: https:\/\/acme\.io\.$/,
    ],
    [
      'an origin beyond ASCII',
      { ALLOWED_ORIGINS: 'https://bücher.de' },
      /Write it as browsers send it: https:\/\/xn--bcher-kva\.de\.$/,
    ],
    ['an origin without TLS', { ALLOWED_ORIGINS: 'http://acme.io' }, /^ALLOWED_ORIGINS has /],
    ['an origin by address', { ALLOWED_ORIGINS: 'https://127.0.0.1' }, /^ALLOWED_ORIGINS has /],
    [
      'another way to make identities',
      { MAIL_IDENTITY: 'none' },
      /^MAIL_IDENTITY must be "create" or "existing"\.$/,
    ],
    ['a double’s mark', { SOMETHING: 'eu-west-1_Local0001' }, /^SOMETHING has a value of the local stack\./],
  ]
  test.each(refused)('%s stops the deployment with a sentence', (_, changes, sentence) => {
    expect(() => settings(changes)).toThrow(sentence)
  })

  test.each(['', 'Production', '1st', 'a'.repeat(17), 'a_b'])(
    'a stage called %j stops the deployment',
    (stage) => {
      expect(() => settings({}, stage)).toThrow(/^The stage is called /)
    },
  )

  test('Lambda accepts the longest function name of the longest stage name', async () => {
    const { functions } = await import('../../functions/deploy/functions.ts')
    const longest = Math.max(...functions.map(({ name }) => `bursar-${'s'.repeat(16)}-${name}`.length))
    expect(longest).toBeLessThanOrEqual(64)
  })
})

describe('secrets', () => {
  test('are accepted, including a second webhook secret', () => {
    secrets()
    secrets({ SST_SECRET_StripeWebhookSecrets: 'whsec_one' })
    secrets({}, 'dev-ada')
  })

  test('a restricted key is like a secret key', () => {
    const restricted = (mode: string) => ({ SST_SECRET_StripeSecretKey: `rk_${mode}_51NotReal` })
    secrets(restricted('live'))
    secrets(restricted('test'), 'dev-ada')
  })

  test.each(['sk_test_51NotReal', 'rk_test_51NotReal'])('a test key is refused in production: %s', (key) => {
    expect(() => secrets({ SST_SECRET_StripeSecretKey: key })).toThrow(
      /^StripeSecretKey must be sk_live_… or rk_live_… on the stage production, and is a key of the test mode\. Set it: /,
    )
  })

  const refused: [string, Record<string, string | undefined>, RegExp][] = [
    [
      'none',
      { SST_SECRET_RootSecret: undefined },
      /^RootSecret is not set\. Set it: npm run sst -- secret set RootSecret/,
    ],
    ['a short root secret', { SST_SECRET_RootSecret: 'abc' }, /^RootSecret must be 64 random hex digits/],
    [
      'the root secret of the local stack',
      { SST_SECRET_RootSecret: '10ca1'.repeat(13).slice(0, 64) },
      /local stack/,
    ],
    [
      'three root secrets',
      {
        SST_SECRET_RootSecret: [1, 2, 3]
          .map((n) => `${n}`.repeat(8) + '0123456789abcdef'.repeat(4).slice(8))
          .join(),
      },
      /^RootSecret must be 64/,
    ],
    ['a root secret of zeros', { SST_SECRET_RootSecret: '0'.repeat(64) }, /^RootSecret must be 64 random/],
    [
      'a publishable key',
      { SST_SECRET_StripeSecretKey: 'pk_test_1' },
      /^StripeSecretKey must be sk_live_… .*, and is a publishable key\. Set it: npm run sst -- secret set/,
    ],
    [
      'a restricted key of no mode',
      { SST_SECRET_StripeSecretKey: 'rk_51NotReal' },
      /^StripeSecretKey must be sk_live_… .*, and is nothing that Stripe gives out\./,
    ],
    [
      'a key with text before it',
      { SST_SECRET_StripeSecretKey: 'xrk_test_51NotReal' },
      /^StripeSecretKey must be sk_live_… .*, and is nothing that Stripe gives out\./,
    ],
    [
      'no webhook secret',
      { SST_SECRET_StripeWebhookSecrets: 'sk_test_1' },
      /^StripeWebhookSecrets must be whsec_…, .*, and is a secret key\./,
    ],
    [
      'three webhook secrets',
      { SST_SECRET_StripeWebhookSecrets: 'whsec_a,whsec_b,whsec_c' },
      /^StripeWebhookSecrets must be whsec_…, .*, and is a list of 3\./,
    ],
  ]
  test.each(refused)(
    '%s stops the deployment with a sentence that does not quote the value',
    (_, changes, sentence) => {
      expect(() => secrets(changes)).toThrow(sentence)
      const [value] = Object.values(changes)
      if (value) expect(() => secrets(changes)).not.toThrow(value)
    },
  )

  test.each(['sk_live_51NotReal', 'rk_live_51NotReal'])(
    'a live key is refused outside production: %s',
    (key) => {
      expect(() => secrets({ SST_SECRET_StripeSecretKey: key }, 'dev-ada')).toThrow(
        /^StripeSecretKey must be sk_test_… or rk_test_… on the stage dev-ada, and is a key of the live mode\./,
      )
    },
  )
})

test('no value of the running local stack can be configured', async () => {
  const stack = await startStack({ nowMs: () => Date.now() })
  const { env } = stack
  await stack.close()
  // Left out: SST's own region and credentials, and names that no deployment reads from the operator's
  // environment.
  // The name of the app is no value of the local stack either: a deployment may be called Bursar, too. What pages show
  // is made of other settings.
  const deployed =
    /^(AWS_(REGION|ACCESS_KEY_ID|SECRET_ACCESS_KEY)|TABLE_NAME|USER_POOL_CLIENT_\w+|KEYRING|KMS_KEY_ID|RENEWAL_FUNCTION|EVENT_BUS|MAIL_CONFIGURATION_SET|APP_NAME|PAGE_SETTINGS)$/
  const asSecret: Record<string, string> = {
    STRIPE_SECRET_KEY: 'SST_SECRET_StripeSecretKey',
  }
  for (const [name, value] of Object.entries(env)) {
    // Also left out: the webhook secret, which is random and has no mark. The Stripe key that belongs to it
    // is refused.
    if (deployed.test(name) || name === 'STRIPE_WEBHOOK_SECRETS') continue
    const secret = asSecret[name]
    const start = secret ? () => secrets({ [secret]: value }) : () => settings({ [name]: value })
    expect(start, name).toThrow(/local stack|no mail arrives|must be https/)
  }
})
