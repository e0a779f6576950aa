import { fromEnv } from '@aws-sdk/credential-provider-env'

/**
 * What the bundles put in place of `@aws-sdk/credential-provider-node`: a function's credentials stand in its
 * environment, and the eight other places where the SDK would look are half of its start.
 */
export const defaultProvider = fromEnv
