/** The environment that an operator would configure, for a stage with test keys. */
export const ENVIRONMENT = {
  MAIL_FROM: 'Acme, Inc. <no-reply@mail.acme.io>',
  APP_NAME: 'Acme',
  APP_URL: 'https://app.acme.io',
  ALARM_EMAIL: 'ops@acme.io',
  ALLOWED_ORIGINS: 'https://app.acme.io,https://admin.acme.io',
  STRIPE_PUBLISHABLE_KEY: 'pk_test_51NotReal',
  SST_SECRET_RootSecret: '0123456789abcdef'.repeat(4),
  SST_SECRET_StripeSecretKey: 'sk_test_51NotReal',
  SST_SECRET_StripeWebhookSecrets: 'whsec_first,whsec_second',
}

/** What an operator adds for a domain of their own, and a firewall before it. */
export const CUSTOM_DOMAIN = {
  PAGES_DOMAIN: 'account.acme.io',
  PAGES_CERTIFICATE: 'arn:aws:acm:us-east-1:123456789012:certificate/0193c0ff-ee00',
  WEB_ACL: 'arn:aws:wafv2:us-east-1:123456789012:global/webacl/acme/0193c0ff-ee01',
}

/** The environment of a stage: production takes live keys only. */
export const environmentFor = (stage: string): typeof ENVIRONMENT =>
  stage === 'production'
    ? {
        ...ENVIRONMENT,
        STRIPE_PUBLISHABLE_KEY: 'pk_live_51NotReal',
        SST_SECRET_StripeSecretKey: 'sk_live_51NotReal',
      }
    : ENVIRONMENT
