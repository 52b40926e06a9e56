# Two images: `tranship`, the service, and `azurite`, a stand-in for Azure's blob storage that docker-compose.yml uses.

FROM rust:1.95-bookworm AS build
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/source/target \
    cargo build --release --locked --features parquet --bin tranship && cp target/release/tranship /usr/local/bin/tranship

FROM node:22-bookworm-slim AS azurite
WORKDIR /azurite
RUN npm install --no-audit --no-fund azurite@3.37.0 @azure/storage-blob@12
ENV PATH=/azurite/node_modules/.bin:$PATH

FROM debian:bookworm-slim AS tranship
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home --home-dir /var/lib/tranship tranship
COPY --from=build /usr/local/bin/tranship /usr/local/bin/tranship
COPY jobs /etc/tranship/jobs
COPY entities /etc/tranship/entities
ENV TRANSHIP_SERVER__LISTEN=0.0.0.0:8080
ENV TRANSHIP_DATA_DIR=/var/lib/tranship
ENV TRANSHIP_JOBS_DIR=/etc/tranship/jobs
ENV TRANSHIP_ENTITIES_DIR=/etc/tranship/entities
USER tranship
WORKDIR /var/lib/tranship
VOLUME /var/lib/tranship
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["tranship", "health"]
ENTRYPOINT ["tranship"]
CMD ["serve"]
