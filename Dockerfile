# SPDX-License-Identifier: Apache-2.0
# The one image of entry, logic, extlogic, migrate and operator: docker build -t REGISTRY/imcluster:TAG .
# `node scripts/cluster/main.ts images` builds the same layout without Docker.
ARG NODE_IMAGE=node:24-bookworm-slim

FROM ${NODE_IMAGE} AS programs
WORKDIR /src
COPY package.json package-lock.json ./
COPY client/package.json client/
# Nothing of it is shipped as it is: the programs are bundled from it, and the demo page.
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json LICENSE ./
COPY client/src client/src
COPY lib lib
COPY proto proto
COPY gateway gateway
COPY logic logic
COPY operator operator
COPY probe probe
COPY examples/chat examples/chat
COPY scripts/bundle scripts/bundle
COPY scripts/cluster/paths.ts scripts/cluster/
RUN node scripts/bundle/main.ts /app && node examples/chat/build.ts /app/demo

FROM ${NODE_IMAGE}
WORKDIR /app
COPY --from=programs /app .
ENV NODE_ENV=production \
    NODE_COMPILE_CACHE=/app/.compile-cache \
    HOME=/tmp
# Each program loads all its modules, then stops for want of configuration; what it compiled on the way stays. Started
# from this cache, a program is up in about half of the time. The root file system may be read-only later.
RUN for program in gateway/main.ts logic/logic.ts logic/extlogic.ts logic/migrate.ts operator/main.ts probe/main.ts; do \
      IM_POSTGRES_URL= IM_REDIS_URL= timeout 10 node "$program" > /dev/null 2>&1 || true; \
    done
USER 65532:65532
CMD ["node"]
LABEL org.opencontainers.image.title="imcluster" \
      org.opencontainers.image.licenses="Apache-2.0"
