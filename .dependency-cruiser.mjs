/** The rules of imports. The last argument of each rule says why it exists. */
const only = (name, from, to, comment) => ({ name, severity: 'error', comment, from, to })

export default {
  forbidden: [
    only('no-cycles', {}, { circular: true }, 'no module of a cycle can be understood on its own'),
    only(
      'nobody-imports-test',
      { pathNot: '^test/' },
      { path: '^test/' },
      'test code must never be deployed',
    ),
    only(
      'core-stays-pure',
      { path: '^core/(?!adapters|table)' },
      { path: '^functions/|^core/adapters/|^core/table/(dynamodb|wire|requests)|^node_modules/(?!zod)' },
      'the domain may import the domain, the table, ports, errors and zod',
    ),
    only(
      'core-nouns-built-ins',
      // The one class of node:net that it needs holds addresses and opens nothing.
      { path: '^core/(?!adapters|table)', pathNot: '^core/keys/networks\\.ts$' },
      { dependencyTypes: ['core'], pathNot: '^(node:)?(crypto|buffer|url|util)$' },
      'the domain does no I/O of its own',
    ),
    only(
      'sdks-in-adapters-only',
      { pathNot: '^core/(adapters|table)/|^test/' },
      { path: '^node_modules/(@aws-sdk|@smithy|@simplewebauthn|stripe|otpauth)' },
      'an SDK outside an adapter would get into every bundle',
    ),
    only(
      'dynamodb-in-table-only',
      { pathNot: '^core/table/|^test/' },
      { path: '^node_modules/@aws-sdk/(client-dynamodb|lib-dynamodb|util-dynamodb)' },
      'only core/table knows which DynamoDB client is in use',
    ),
    only(
      'table-clients-in-live-only',
      { pathNot: '^functions/http/live|^core/table/|^test/' },
      { path: '^core/table/(dynamodb|wire|requests)' },
      'only live.ts decides which client of the table a function gets',
    ),
    only(
      'bundling-ships-nothing',
      {
        path: '^(core|functions)/',
        pathNot: '^functions/deploy/(build|build-pages|bundle|client-package)\\.ts$',
      },
      { path: '^functions/deploy/(build|build-pages|client-package)\\.ts$|^node_modules/(esbuild|@swc)' },
      'the code that builds the functions must not be deployed with them',
    ),
    only(
      'stripe-loads-lazily',
      { path: '^(core|functions)/', pathNot: '^core/adapters/stripe' },
      { path: '^node_modules/stripe' },
      'functions without payments must not load the Stripe SDK',
    ),
    only(
      'client-stands-alone',
      { path: '^functions/client/' },
      { pathNot: '^functions/client/', dependencyTypesNot: ['type-only'] },
      'the package runs where only fetch is: from the rest of Bursar and from packages it may import types',
    ),
    only(
      'client-ships-alone',
      { path: '^(core|functions)/(?!client/|pages/)' },
      { path: '^functions/client/(?!names\\.ts$)' },
      'no function may carry the client, which pages do; only the build of the client reads its names',
    ),
    only(
      'rows-are-data',
      {
        path: '^functions/[^/]+/routes\\.ts$|^functions/ops/rows/|^functions/jobs/schedule\\.ts$|^functions/http/(route|rows|needs|cors)\\.ts$|^functions/deploy/(?!build)',
      },
      {
        reachable: true,
        path: '^core/(adapters/|table/(dynamodb|wire))|^functions/http/(live|endpoint)|^node_modules/(@aws-sdk|@middy|@simplewebauthn|stripe)',
      },
      'the deployment must be able to read the rows without loading other code',
    ),
    only(
      'needs-ship-nothing',
      { pathNot: '^functions/deploy/|^test/' },
      { path: '^functions/http/needs\\.ts$' },
      'only the deployment reads what ports need; in a function the data would be unused',
    ),
    only(
      'handlers-stay-thin',
      { path: '^functions/(api|v1|rest|webhooks|jobs|ops)/(?!routes|descriptions|schedule|rows/|command/)' },
      {
        pathNot:
          '^functions/[^/]+/routes\\.ts$|^functions/jobs/schedule\\.ts$|^functions/http/(endpoint|access-token|customers|job|page-query|[^/]+-shapes)\\.ts$|^core/(?!adapters|table)',
      },
      'a handler may import its row, the endpoint stack, the shapes of the dialects and the domain',
    ),
    only(
      'shapes-are-pure',
      { path: '^functions/http/[^/]+-shapes\\.ts$' },
      {
        pathNot: '^functions/http/[^/]+-shapes\\.ts$|^core/notifications/amounts\\.ts$|^node_modules/zod',
        dependencyTypesNot: ['type-only'],
      },
      'a shape only converts values: from core it may import types, and the texts for amounts',
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
