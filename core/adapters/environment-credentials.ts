import { fromEnv } from '@aws-sdk/credential-provider-env'

/**
 * The bundles use this in place of `@aws-sdk/credential-provider-node`. A function's credentials are in its
 * environment, and the code for the eight other sources of credentials takes half of the SDK's start-up time.
 */
export const defaultProvider = fromEnv
