/** The import law of the house: who may import what. Each rule says what a breach would cost. */
const only = (name, from, to, comment) => ({ name, severity: 'error', comment, from, to })

export default {
  forbidden: [
    only('no-cycles', {}, { circular: true }, 'a cycle cannot be read from either end'),
    only('nobody-imports-test', { pathNot: '^test/' }, { path: '^test/' }, 'doubles are never deployed'),
    only(
      'core-stays-pure',
      { path: '^core/(?!adapters|table)' },
      { path: '^functions/|^core/adapters/|^core/table/(dynamodb|wire|requests)|^node_modules/(?!zod)' },
      'a noun knows nouns, table, ports, errors and zod',
    ),
    only(
      'core-nouns-built-ins',
      { path: '^core/(?!adapters|table)' },
      { dependencyTypes: ['core'], pathNot: '^(node:)?(crypto|buffer)$' },
      'a noun does no I/O of its own',
    ),
    only(
      'sdks-in-adapters-only',
      { pathNot: '^core/(adapters|table)/|^test/' },
      { path: '^node_modules/(@aws-sdk|@smithy|stripe|otpauth)' },
      'an SDK outside an adapter leaks into every bundle',
    ),
    only(
      'dynamodb-in-table-only',
      { pathNot: '^core/table/|^test/' },
      { path: '^node_modules/@aws-sdk/(client-dynamodb|lib-dynamodb|util-dynamodb)' },
      'the hot path must be able to change its client',
    ),
    only(
      'table-clients-in-live-only',
      { pathNot: '^functions/http/live|^core/table/|^test/' },
      { path: '^core/table/(dynamodb|wire|requests)' },
      'which client a function has is decided in one place',
    ),
    only(
      'bundling-ships-nothing',
      { path: '^(core|functions)/', pathNot: '^functions/deploy/(build|bundle)\\.ts$' },
      { path: '^functions/deploy/build\\.ts$|^node_modules/(esbuild|@swc)' },
      'what builds the functions is in none of them',
    ),
    only(
      'stripe-loads-lazily',
      { path: '^(core|functions)/', pathNot: '^core/adapters/stripe' },
      { path: '^node_modules/stripe' },
      'whoever does not pay must not carry it',
    ),
    only(
      'rows-are-data',
      {
        path: '^functions/[^/]+/routes\\.ts$|^functions/jobs/schedule\\.ts$|^functions/http/(route|rows|needs|cors)\\.ts$|^functions/deploy/(?!build)',
      },
      {
        reachable: true,
        path: '^core/(adapters/|table/(dynamodb|wire))|^functions/http/(live|endpoint)|^node_modules/(@aws-sdk|@middy|stripe)',
      },
      'the deployment reads rows without running anything',
    ),
    only(
      'needs-ship-nothing',
      { pathNot: '^functions/deploy/|^test/' },
      { path: '^functions/http/needs\\.ts$' },
      'only the deployment reads what ports take; a function would carry it without use',
    ),
    only(
      'handlers-stay-thin',
      { path: '^functions/(api|v1|rest|webhooks|jobs)/(?!routes|descriptions|schedule)' },
      {
        pathNot:
          '^functions/[^/]+/routes\\.ts$|^functions/jobs/schedule\\.ts$|^functions/http/(endpoint|job|[^/]+-shapes)\\.ts$|^core/(?!adapters|table)',
      },
      'a handler has its row, the endpoint stack, the shapes of the dialects and the domain',
    ),
    only(
      'shapes-are-pure',
      { path: '^functions/http/[^/]+-shapes\\.ts$' },
      {
        pathNot: '^functions/http/[^/]+-shapes\\.ts$|^core/notifications/amounts\\.ts$|^node_modules/zod',
        dependencyTypesNot: ['type-only'],
      },
      'a shape turns a value into another one: of core it knows the types, and how texts write amounts',
    ),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: false,
    parser: 'swc',
    enhancedResolveOptions: {
      extensions: ['.ts', '.js', '.mjs', '.json'],
      conditionNames: ['import', 'node', 'types'],
    },
  },
}
